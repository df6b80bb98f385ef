"""Relays and networks at their worst: what happens to one task, alone and among twenty that fare well.

Each case is one named test, of as many variants as it has. Times are scaled down: looks are 10 ms apart, trouble may
last 50 ms and six looks, and a request has 2 s, or 0.15 s where running out of them is the case.
"""
