"""Dagster, thin over sync/: fetch, load, report.

CODE_LOCATION is the module that Dagster loads by name, in this process or in one of its own. It stands above this
package, so nothing in here imports it.
"""

CODE_LOCATION = "partner_pipelines.definitions"
