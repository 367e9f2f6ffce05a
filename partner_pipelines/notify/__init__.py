"""One notification per incident, to the addresses of an audience (Apprise URLs), and one when it is over.

`notifier.py` says who hears what and when, `incidents.py` keeps what is open, `lately.py` what went out in the last
minutes, `summary.py` writes one message for many, `post.py` knows the addresses, `sending.py` carries a message to one.
"""

from partner_pipelines.notify.notifier import Notifier
from partner_pipelines.notify.sending import addresses_of, is_address, send_by_apprise

__all__ = ["Notifier", "addresses_of", "is_address", "send_by_apprise"]
