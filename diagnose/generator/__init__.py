"""Makes pictures the way a sound backend does, and on demand the way a broken one does.

    pipeline    the way of one request, as one function over hands that are given to it
    broken      the exceptions by which a hand says that a link broke
    events      what the pipeline says of its work, without words
    images      reads what browsers send as pictures
    records     the words: log lines, and the entry of the prompt log
    journal     the log, with the lines of the HTTP client and the server in it
    prompt_log  the prompt log, written by any number of processes
    hands       Supabase and fal as they are reached for real
    client      the HTTP client of the hands, bounded in time and size
    app         the backend over HTTP; `openapi` describes it, `entrance` stands around every request
    serving     serves an app on an address of this machine
    standins    services on loopback that speak the protocols of Supabase and fal
    faults      every fault that the demo can break
    embedded    the hands that are led to the stand-ins, and the switch of the page
    demo        writes one fault's evidence, by sending requests to the real backend with it

Nothing here diagnoses: what it leaves is read by the ordinary commands.
"""
