"""What `doctor` may find between this machine and the partners, or there."""

from __future__ import annotations

from collections.abc import Mapping

from partner_pipelines.sync.doctor_findings import RED_FIRST, Fault

_UNREACHABLE = (
    "check the base address, then DNS, firewall, and whether the partner lets this machine in (docs/partners.md)"
)

OF_PARTNERS: Mapping[str, Fault] = {
    "tls_refused": Fault(
        "TLS",
        "red",
        "the certificate has expired, is for another host, or nobody trusted vouches for it",
        "check the address and this machine's clock; a certificate that has expired is the partner's to renew; an "
        "authority of your own network belongs into PARTNER_CA_BUNDLE",
    ),
    "tls_unreachable": Fault(
        "TLS",
        "red",
        "no connection",
        _UNREACHABLE,
    ),
    "tls_ends_soon": Fault(
        "TLS",
        "yellow",
        "the certificate ends within 14 days",
        "tell the partner; when an authority of your own made it, renew it",
    ),
    "connection_revoked": Fault(
        "credentials",
        "yellow",
        "somebody revoked the connection here: nothing of it is asked",
        "if that is over: `partner-pipelines restore CONNECTION`",
    ),
    "connection_deactivated": Fault(
        "credentials",
        "red",
        "the partner refused the credentials on a renewal: nothing is asked until they are others",
        "put the new client_secret in place, or `partner-pipelines restore CONNECTION` when the old one is good again",
    ),
    "credentials_unreadable": Fault(
        "credentials", "red", "a secret's place cannot be read", "mend the reference that the line names"
    ),
    "credentials_refused": Fault(
        "credentials",
        "red",
        "ResMan does not know the client or its secret",
        "verify client_id and client_secret; if they are right, the ResMan Partner Portal's logs say whether they are "
        "active",
    ),
    "key_refused": Fault(
        "credentials",
        "red",
        "OpenMoove does not know the key, or denies it the list",
        "verify the API key and that it belongs to this base address; if it is right, OpenMoove's support says whether "
        "it is active",
    ),
    "credentials_unknown": Fault(
        "credentials",
        "yellow",
        "nobody could be asked",
        RED_FIRST,
    ),
    "token_unreachable": Fault(
        "token endpoint",
        "red",
        "no answer",
        "check RESMAN_TOKEN_URL (and RESMAN_BASE_URL, below which it is by default), then the network",
    ),
    "token_wrong": Fault(
        "token endpoint",
        "red",
        "an answer, and none of a token endpoint that serves client credentials",
        "check RESMAN_TOKEN_URL and RESMAN_TOKEN_AUTH; the ResMan Partner Portal says which grants the client has",
    ),
    "token_forbidden": Fault(
        "token endpoint",
        "red",
        "it shuts this machine out (403 without a reason)",
        "have this machine's address put on the partner's allow-list (docs/partners.md)",
    ),
    "token_failing": Fault(
        "token endpoint",
        "red",
        "it fails (5xx)",
        "wait and run doctor again; if it lasts, send the partner's support what `audit show` prints",
    ),
    "token_later": Fault(
        "token endpoint",
        "yellow",
        "too many requests, theirs (429) or ours (the budget)",
        "wait and run doctor again; look who else uses the credentials",
    ),
    "scope_missing": Fault(
        "scopes",
        "yellow",
        "a scope of RESMAN_SCOPES is not granted: its table is skipped",
        "enable it in ResMan's Partner Portal; it is asked for again by itself, or by `partner-pipelines scopes`",
    ),
    "endpoint_unasked": Fault(
        "endpoint", "yellow", "its scope is missing, so nothing is sent", "enable the scope in ResMan's Partner Portal"
    ),
    "endpoint_denied": Fault(
        "endpoint",
        "yellow",
        "403: the partner denies the scope that its token has",
        "enable the scope in ResMan's Partner Portal, then `partner-pipelines scopes`",
    ),
    "endpoint_token": Fault(
        "endpoint",
        "red",
        "401: it refuses the token that was issued a moment ago",
        "check that RESMAN_BASE_URL and RESMAN_TOKEN_URL belong to the same environment",
    ),
    "endpoint_wrong": Fault(
        "endpoint",
        "red",
        "another refusal (4xx), a redirect, or an answer that the contract does not know",
        "check the base address, its path and version; else send the partner's support what `audit show` prints",
    ),
    "endpoint_unreachable": Fault(
        "endpoint",
        "red",
        "no whole answer",
        _UNREACHABLE,
    ),
    "endpoint_failing": Fault(
        "endpoint",
        "red",
        "it fails (5xx)",
        "wait and run doctor again; if it lasts, send the partner's support what `audit show` prints",
    ),
    "endpoint_later": Fault(
        "endpoint",
        "yellow",
        "too many requests, theirs (429) or ours (the budget), or the time for this connection is over",
        "wait and run doctor again; look who else uses the credentials",
    ),
    "quota_spent": Fault(
        "quota",
        "yellow",
        "less than a tenth is left",
        "nothing: syncs go on when places are free; if the backlog never ends, ask for more (docs/partners.md)",
    ),
}
