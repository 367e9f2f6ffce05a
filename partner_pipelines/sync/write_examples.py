"""Lines that a test environment takes, for `push --example`.

Sources: openmoove_partner_api.md, "Test Data" (numbers that need no SMS, professionals); resman_handshake.md, "2. API
Endpoint Usage" and "3. API Scope Expansion".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_PROFESSIONALS = {
    "estate_agent_email": "test-agent@example.com",
    "conveyancer_email": "test-conveyancer@example.com",
}

EXAMPLES: Mapping[str, Sequence[Mapping[str, str]]] = {
    "leads": (
        {"first_name": "Jane", "last_name": "Doe", "email": "jane.doe@example.com", "contact_method": "email",
         "source": "eliseai.com"},
        {"first_name": "John", "last_name": "Roe", "email": "john.roe@example.com", "contact_method": "phone",
         "source": "walk-in"},
    ),
    "employees": (
        {"first_name": "Meet", "last_name": "Elise", "role": "Leasing Agent", "email": "elise@example.com"},
    ),
    "payments": (
        {"reference": "EXAMPLE-1", "prospect_id": "LEAD_00001", "amount": "500.00", "fee_type": "application_fee"},
    ),
    "maintenance": (
        {"reference": "EXAMPLE-1", "property_id": "PROP_001", "description": "The kitchen tap drips",
         "priority": "Low"},
    ),
    "clients": tuple(
        {
            "first_name": first, "last_name": "Smith", "email": f"{first.lower()}.smith@example.com",
            "phone_number": f"+44770090000{number}", "property_address": f"{number} Example Street, London",
            "property_postcode": "SW1A 1AA", "sale_method": method, **_PROFESSIONALS,
            "auctioneer_email": "test-auctioneer@example.com" if method != "standard" else "",
        }
        for number, (first, method) in enumerate((("John", "standard"), ("Ann", "modern_auction")), 1)
    ),
}  # fmt: skip
