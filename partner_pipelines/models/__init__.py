"""What the partners send and take (frozen pydantic models), and the record of a call."""
