"""An ACME client: RFC 8555, RFC 8737, RFC 8738, RFC 9773; one module per noun of the RFC.

It stands alone: it stores nothing, validates nothing, and imports nothing of Certwright. Objects and what
can be asked of them are in `account`, `order`, `authorization`, `challenge`, `certificate` and
`renewal_info`; `flow.obtain` is the whole way from names to a certificate; `errors` draws the error tree::

    @contextmanager
    def solve(answers):
        chosen = [answer for answer in answers if answer.type == "http-01"]
        for answer in chosen:
            (webroot / answer.http_path.lstrip("/")).write_text(answer.key_authorization)
        try:
            yield chosen
        finally:
            for answer in chosen:
                (webroot / answer.http_path.lstrip("/")).unlink(missing_ok=True)

    with HttpsTransport(user_agent="example/1.0") as transport:
        client = AcmeClient(transport, "https://ca.example/directory", SigningKey.generate("ES256"))
        account.register(client, contact=["mailto:admin@example.org"], agree_to_terms=True)
        obtained = flow.obtain(client, [Identifier.dns("example.org")], csr_der, solve)
    print(obtained.chain.pem)
"""
