"""How commands print figures: tables that fit the terminal without cutting an interval."""
