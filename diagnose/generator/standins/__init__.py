"""Stand-ins: services on the loopback that speak the protocols of Supabase and of fal.

Only the server and the demo import them, since they need the packages of the server extra.
"""
