"""Both partners on loopback, with every way they can misbehave; started as `python -m partner_pipelines.sandbox`.

It imports nothing of ours and shares no code with the clients: they meet on the wire only, so it can disagree with us.

    __main__.py    parse, load, serve, end            options.py    the command line
    server.py      uvicorn, the ready line, the end   app.py        the way of one request: log, limit, fault, answer
    wire.py        request and response as values     journal.py    the request log
    limits.py      sliding windows                    faults.py     which request goes wrong; breakage.py: how
    settings.py    what the control endpoint may set  state.py      all parts of one running sandbox
    store.py       rows and the change file           seed.py       rows from files
    generated_*.py rows made up, the same every time
    openmoove.py   the OpenMoove API                  client_form.py what POST clients/ accepts
    webhooks.py    OpenMoove's signed deliveries
    resman.py      the ResMan API                     resman_form.py what its POST and PATCH accept
    oauth.py       ResMan's tokens                    oauth_endpoints.py token, introspect, revoke
    paging.py      lists of both, a page at a time    new_property.py the sale that a new client begins
    control.py     /_sandbox/                         changes.py    POST /_sandbox/change
"""
