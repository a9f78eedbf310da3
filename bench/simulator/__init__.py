"""Listeners whose taste is known, so that what a recommender loses can be counted.

`world`: where the tracks stand; `listener`: what a listener does, by stated probabilities; `policies`: what is
compared; `life`: one listener and one running system; `measures`: what is reported.
"""
