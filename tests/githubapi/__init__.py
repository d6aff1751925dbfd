"""A loopback stand-in for GitHub's REST API that holds every exchange against GitHub's OpenAPI description."""
