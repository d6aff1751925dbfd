"""GitHub's REST API, as much of it as the report needs. Knows nothing of records."""
