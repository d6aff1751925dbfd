"""From records to one report: the decision, the Markdown of the comment, the HTML page, its picture."""
