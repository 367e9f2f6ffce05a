"""The webhook receiver: verify, store, acknowledge; nothing is parsed here, and nothing is called.

app.py        the ASGI app: what is answered to what
routes.py     which path belongs to which partner, and how its signatures are checked
protocol.py   uvicorn's HTTP protocol, with an end to its patience
refusals.py   how many deliveries were refused, for the trail
health.py     whether deliveries can be taken, and the heartbeat that says so
worker.py     one process of the receiver
serving.py    the processes of the receiver on one socket
"""

MODULE = "partner_pipelines.receiver.worker"
"""What a worker is started as: `python -m MODULE`."""
