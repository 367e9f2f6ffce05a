"""The values that must be nowhere, and rows of both partners that carry them. Each occurs nowhere else in the world."""

from __future__ import annotations

from typing import Any

from partner_pipelines_tests.leaks.search import Canary

SECRETS = {
    "client secret": 'zq1secret+/="é%:s',
    "API key": "om_zq2 key+1é/",
    "webhook secret": "whsec_zq3+/aGVsbG8=",
    "another client secret": "zq4 other&secret=+ü",
    "another API key": "om_zq5-key.of:another",
    "password of the alerts": "zq7-alerts.password~1",
}
PEOPLE = {
    "lead's first name": "Zqlorabel",
    "lead's last name": "O'Zqärn",
    "lead's e-mail": "Zq.Lead+1@canary.example",
    "lead's phone": "+12025558471",
    "employee's first name": "Zqemmeline",
    "employee's last name": "van der Zqøst",
    "employee's e-mail": "zq.employee@canary.example",
    "employee's phone": "(202) 555-8472",
    "seller's first name": "Zqselma",
    "seller's last name": "MacZqeed-Jones",
    "seller's e-mail": "zq_seller@canary.example",
    "seller's phone": "07700 958473",
    "seller's phone as E.164": "+447700958473",
    "team member's name": "Zqteodor Membré",
    "team member's e-mail": "zq.team@canary.example",
    "team member's phone": "+447700958474",
    "name of who has to do it": "Zqassignee Ünderwood",
    "rejected lead's name": "Zqrejecta",
    "rejected lead's e-mail": "zq.rejected@canary.example",
    "rejected seller's e-mail": "zq.rejected.seller@canary.example",
    "person in an unknown field": "Zqunknown Perßon",
    "person in an unknown field's name": "zqfield.person@canary.example",
    "person who is named by errors alone": "Zqechoed Nöbody",
    "pushed lead's first name": "Zqpushella",
    "pushed lead's last name": "Zqwritten-Øutbox",
    "pushed lead's e-mail": "zq.pushed@canary.example",
    "pushed lead's phone": "+12025558475",
    "person in a line that is refused": "zq.refused.line@canary.example",
    "person whom webhooks name": "Zqhookella Ødelivery",
}
PLANTED = "zqplanted-where-nothing-may-be-missed"
"""Said on purpose where the search must find it: it shows that whatever else were said there would be found."""

LEADS: list[dict[str, Any]] = [
    {
        "id": "LEAD_Z1",
        "property_id": "PROP_001",
        "first_name": PEOPLE["lead's first name"],
        "last_name": PEOPLE["lead's last name"],
        "email": PEOPLE["lead's e-mail"],
        "phone_number": PEOPLE["lead's phone"],
        "status": "new",
        "guarantor": {"people": [{"name": PEOPLE["person in an unknown field"]}]},
        PEOPLE["person in an unknown field's name"]: True,
    },
    {
        "id": "LEAD_Z2",
        "first_name": PEOPLE["rejected lead's name"],
        "email": PEOPLE["rejected lead's e-mail"],
        "budget": "ask " + PEOPLE["rejected lead's e-mail"],
    },
]
PUSHED = {
    "first_name": PEOPLE["pushed lead's first name"],
    "last_name": PEOPLE["pushed lead's last name"],
    "email": PEOPLE["pushed lead's e-mail"],
    "phone_number": PEOPLE["pushed lead's phone"],
}
REFUSED = {**PUSHED, "email": "zq12", "notes": PEOPLE["person in a line that is refused"]}
EMPLOYEES: list[dict[str, Any]] = [
    {
        "id": "EMP_Z1",
        "property_id": "PROP_001",
        "first_name": PEOPLE["employee's first name"],
        "last_name": PEOPLE["employee's last name"],
        "email": PEOPLE["employee's e-mail"],
        "phone": PEOPLE["employee's phone"],
        "role": "Leasing Agent",
    }
]
PROPERTY: dict[str, Any] = {
    "id": 1,
    "seller": {
        "id": 50001,
        "first_name": PEOPLE["seller's first name"],
        "last_name": PEOPLE["seller's last name"],
        "email": PEOPLE["seller's e-mail"],
        "phone_number": PEOPLE["seller's phone"],
        "partner": PEOPLE["person in an unknown field"],
    },
    "team": {
        "conveyancer": {
            "id": 2001,
            "name": PEOPLE["team member's name"],
            "email": PEOPLE["team member's e-mail"],
            "phone_number": PEOPLE["team member's phone"],
            "firm": "Canary & Sons",
        }
    },
    "milestones": [
        {
            "id": 11,
            "name": "Instruction",
            "order": 1,
            "completed": False,
            "assigned_to": PEOPLE["name of who has to do it"],
        }
    ],
}
REJECTED_PROPERTY: dict[str, Any] = {
    "id": 2,
    "seller": {"id": [PEOPLE["rejected seller's e-mail"]], "email": PEOPLE["rejected seller's e-mail"]},
}


def canaries(*tokens: str) -> list[Canary]:
    """All of them; `tokens` are access tokens that a partner has given out."""
    named = [Canary(name, value) for name, value in {**SECRETS, **PEOPLE}.items()]
    return [*named, *(Canary("access token", token) for token in tokens)]
