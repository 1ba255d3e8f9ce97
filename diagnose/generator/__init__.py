"""Makes pictures the way a sound backend does, and on demand the way a broken one does.

    pipeline   the way of one request, as one function over hands that are given to it
    broken     the exceptions by which a hand says that a link broke
    events     what the pipeline says of its work, without words
    images     reads what browsers send as pictures
    records    the words: log lines, and `prompt_log.json`
    hands      hands in memory that behave as Supabase Storage and fal are known to
    faults     every fault that the demo can break
    demo       writes one fault's evidence, by running the real pipeline with it

Nothing here diagnoses: what it leaves is read by the ordinary commands.
"""
