"""What the published warehouse says, for people: charts of the marts, and the weekly report. No Dagster, no partner."""
