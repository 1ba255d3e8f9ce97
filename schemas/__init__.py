"""The JSON Schemas, as data: what is read, what is written, what fal's models take. See `diagnose.schema`."""
