"""Rows made up, the same at every start: names by mimesis, everything else from a fixed seed for each row."""

from __future__ import annotations

from partner_pipelines.sandbox import generated_openmoove as openmoove
from partner_pipelines.sandbox import generated_resman as resman
from partner_pipelines.sandbox.store import PROPERTIES, Row


def generate_rows(properties: int) -> dict[str, list[Row]]:
    """Return the rows of every collection, sized by the number of properties for sale."""
    leads = properties * 5 // 3
    return {
        PROPERTIES: [openmoove.property_row(number) for number in range(1, properties + 1)],
        "resman_units": [resman.unit_row(number, properties) for number in range(1, properties * 4 // 3 + 1)],
        "resman_leads": [resman.lead_row(number, properties) for number in range(1, leads + 1)],
        "resman_employees": [resman.employee_row(number, properties) for number in range(1, properties // 12 + 1)],
        "resman_documents": [resman.document_row(number, leads) for number in range(1, properties * 2 // 3 + 1)],
        "resman_payments": [resman.payment_row(number, leads) for number in range(1, properties * 2 // 5 + 1)],
        "resman_maintenance": [
            resman.work_order_row(number, properties) for number in range(1, properties * 3 // 10 + 1)
        ],
    }
