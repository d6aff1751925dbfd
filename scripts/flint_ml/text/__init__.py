"""Text and pictures for people: Markdown, numbers, YAML with its lines, the looks of figures.

The door gives modules, not functions: ``from flint_ml.text import markdown, numbers`` and then ``markdown.escape``,
``numbers.percent``; or ``from flint_ml.text.numbers import percent``.
"""

__all__ = ["markdown", "numbers", "plotting", "sanitize", "secrets", "yaml"]
