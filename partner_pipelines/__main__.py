"""`python -m partner_pipelines` is `partner-pipelines`."""

from partner_pipelines.cli import main

main()
