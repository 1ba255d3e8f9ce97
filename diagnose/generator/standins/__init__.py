"""Stand-ins: services on the loopback that speak the protocols of Supabase and of fal.

They are imported only where the demo runs whole, since they need the packages that serve HTTP.
"""
