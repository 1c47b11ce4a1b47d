"""What a file says of itself, so that no other one is taken for an outbox, nor a newer one for an old one."""

APPLICATION_ID = 0x436F7043  # "CopC": marks the file as an outbox
VERSION = 1  # of the tables; see `connector.outbox.sqlite.schema`
