"""The GitHub runner's protocol: inputs, outputs, summary, annotations, groups, masks, exit codes.

The same code serves a plain terminal: there it prints what GitHub would show.
"""
