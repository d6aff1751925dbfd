"""GitOps: the version of a model in a repository of manifests, which a cluster follows (Argo CD, Flux).

Nothing here speaks to a cluster; the state is in Git.
"""
