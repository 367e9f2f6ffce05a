"""What `doctor` may find on this machine."""

from __future__ import annotations

from collections.abc import Mapping

from partner_pipelines.sync.doctor_findings import RED_FIRST, Fault

ANY = "any of them"

OF_THIS_MACHINE: Mapping[str, Fault] = {
    "setting_bad": Fault(
        "settings",
        "red",
        "a setting is missing, wrong or refused (exit status 2, nothing is called)",
        "set the variable that the line names, as docs/settings.md has it",
    ),
    "setting_misspelt": Fault(
        "settings", "yellow", "a variable reads like a setting and is none", "correct its name, or remove it"
    ),
    "partner_unset": Fault(
        "settings",
        "yellow",
        "one of the partners has no credentials",
        "set its variables (README, The real partners); as long as they are unset, its tables are skipped",
    ),
    "sandbox_unavailable": Fault(
        "settings",
        "yellow",
        "there is no sandbox to call: another command has it, or it does not start",
        "run doctor again when that command has ended, or mend the data directory first",
    ),
    "data_refused": Fault(
        "data directory",
        "red",
        "another environment's, or a newer version's (exit status 2, nothing is called)",
        "use this environment's own PARTNER_DATA_DIR, or upgrade the program",
    ),
    "data_unusable": Fault(
        "data directory",
        "red",
        "it cannot be made, read or written, so no call could be audited and none is made",
        "make room, and give the directory to the user that runs the program (docs/operate.md, Install)",
    ),
    "data_open": Fault(
        "data directory",
        "red",
        "others may read what is private: keys, tokens, personal data",
        "take the rights away from group and others (chmod -R go-rwx); renew the secrets that somebody may have read",
    ),
    "data_foreign": Fault(
        "data directory",
        "yellow",
        "something in it belongs to another user, which locks one of the two out",
        "run every command as the user that the directory belongs to, and give it back to that user (chown -R)",
    ),
    "disk_full": Fault(
        "disk",
        "red",
        "less room than the next published copy takes, or no more files",
        "make room: what is removed when is in docs/operate.md",
    ),
    "disk_low": Fault(
        "disk",
        "yellow",
        "less than 1 GiB, or than six copies of the database take",
        "make room before it is full: what is removed when is in docs/operate.md",
    ),
    "warehouse_none": Fault("warehouse", "yellow", "nothing is loaded yet", "`partner-pipelines sync`"),
    "warehouse_held": Fault(
        "warehouse",
        "yellow",
        "a writer has held it all the time that doctor waits",
        "run doctor again; if it lasts, see which run is at work in Dagster's UI",
    ),
    "warehouse_broken": Fault(
        "warehouse",
        "red",
        "the database cannot be opened",
        "make room and mend the rights if the line says so; else move warehouse/working.duckdb away (it is made anew "
        "of the published copy) or restore a backup (docs/operate.md)",
    ),
    "published_unusable": Fault(
        "warehouse",
        "yellow",
        "somebody wrote to the published copy, has it open to write, or it is gone",
        "`partner-pipelines sync` publishes a new one",
    ),
    "published_old": Fault(
        "warehouse",
        "yellow",
        "something was committed after the published copy",
        "nothing while a sync runs; else `partner-pipelines sync` publishes it",
    ),
    "trail_bad": Fault(
        "trail",
        "red",
        "a record is not what was written, a segment is gone, or a checkpoint is not the key's",
        "keep the data directory as it is; `partner-pipelines audit verify` names all of it, docs/operate.md, Proof of "
        "the trail, says how to go on",
    ),
    "trail_note": Fault(
        "trail",
        "yellow",
        "the copy of the checkpoints is behind, or cannot be looked at",
        "see to it that PARTNER_AUDIT_COPY is there and can be written; the next process makes up for it",
    ),
    "key_unusable": Fault(
        "signing key",
        "red",
        "the key cannot be read: nothing is signed",
        "restore the key that PARTNER_AUDIT_KEY or state/keys names; it is never made anew for an old trail",
    ),
    "key_beside": Fault(
        "signing key",
        "yellow",
        "PARTNER_AUDIT_KEY is unset: the key lies beside the trail; who can write the data directory can sign again",
        "keep the key elsewhere: `partner-pipelines audit rotate-key --to FILE`, then PARTNER_AUDIT_KEY "
        "(docs/operate.md, Proof of the trail)",
    ),
    "up_off": Fault(
        "up",
        "yellow",
        "nothing runs the schedules, and no run has ended in the last two hours",
        "start `partner-pipelines up`, or a timer for `sync` (docs/operate.md, Run it)",
    ),
    "run_failed": Fault(
        "up",
        "yellow",
        "the last run failed: something was not loaded",
        '`partner-pipelines query "FROM audit.runs ORDER BY finished_at DESC LIMIT 1"` says what and why; '
        "Dagster's UI does, under Runs; then run it again",
    ),
    "receiver_unset": Fault(
        "receiver",
        "yellow",
        "there is no webhook secret: every delivery would be refused",
        "agree on a secret with OpenMoove and set OPENMOOVE_WEBHOOK_SECRETS (docs/partners.md); without webhooks, news "
        "comes as late as OPENMOOVE_ACTIVE_MAX_AGE allows",
    ),
    "receiver_silent": Fault(
        "receiver",
        "yellow",
        "no receiver works now",
        "start `partner-pipelines up` or `partner-pipelines receiver` with this data directory",
    ),
    "receiver_gap": Fault(
        "receiver",
        "red",
        "none has worked for longer than OpenMoove tries again (not on a sandbox)",
        "start `partner-pipelines up` or `partner-pipelines receiver`; what was missed is asked for by itself",
    ),
    "inbox_waits": Fault(
        "webhooks",
        "yellow",
        "deliveries have waited for more than ten minutes",
        "start `partner-pipelines up`, or run `partner-pipelines sync`, which applies them first",
    ),
    "inbox_strange": Fault(
        "webhooks",
        "yellow",
        "the inbox holds directories or links, which nobody reads: a delivery is a file of its own",
        "move the files into webhooks/inbox itself and remove the rest",
    ),
    "letters_dead": Fault(
        "webhooks",
        "yellow",
        "deliveries could not be used: dead letters",
        "`partner-pipelines webhooks list` says why; then `webhooks replay` or `webhooks drop`",
    ),
    "schedule_off": Fault(
        "schedules",
        "yellow",
        "somebody has switched one off",
        "switch it on again in Dagster's UI, under Automation, if it should run",
    ),
    "alerts_unusable": Fault(
        "notifications",
        "red",
        "an address is none that Apprise knows: who should hear of a failure does not",
        "write it as docs/recovery.md has it, in the PARTNER_ALERTS_… setting of that audience",
    ),
    "check_ended_badly": Fault(
        ANY,
        "red",
        "the check met an error that is none of these, or did not come to an end",
        "mend what the line says and run doctor again",
    ),
    "check_left_out": Fault(
        ANY,
        "yellow",
        "the data directory, in which it looks, cannot be read",
        RED_FIRST,
    ),
}
