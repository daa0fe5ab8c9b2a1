#!/usr/bin/env python3
"""A certificate authority for tests: good certificates, and bad ones of every kind.

    ca = TestCa(folder)                                   # folder/ca.pem, folder/ca.key
    cert, key = ca.issue("server", ips=["127.0.0.1"])     # folder/server.pem, folder/server.key
    ca.write_crl([cert])                                  # folder/crl.pem

    test_ca.py FOLDER     writes the set that rpc/tls_test.cc uses
"""

import datetime
import ipaddress
import os
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOUR = datetime.timedelta(hours=1)


def now():
    return datetime.datetime.utcnow()


def replace(path, data, mode=0o644):
    """Puts a file in place at once, as a rotation should."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(data)
    temporary.chmod(mode)
    os.replace(temporary, path)


def name_of(cn):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn else [])


def pem(thing):
    return thing.public_bytes(serialization.Encoding.PEM)


def pem_key(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class TestCa:
    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.cert = (x509.CertificateBuilder().subject_name(name_of(f"test {name}"))
                     .issuer_name(name_of(f"test {name}")).public_key(self.key.public_key())
                     .serial_number(x509.random_serial_number())
                     .not_valid_before(now() - HOUR).not_valid_after(now() + 240 * HOUR)
                     .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                     .sign(self.key, hashes.SHA256()))
        self.file = self.folder / f"{name}.pem"
        replace(self.file, pem(self.cert))

    def issue(self, name, cn=None, dns=(), ips=(), start=-HOUR, end=24 * HOUR):
        """A certificate for servers and clients; start and end count from now. Its common name is `cn`,
        none if that is "", or `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(d) for d in dns]
        names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips]
        builder = (x509.CertificateBuilder().subject_name(name_of(name if cn is None else cn))
                   .issuer_name(self.cert.subject).public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now() + start).not_valid_after(now() + end)
                   .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH,
                                                         ExtendedKeyUsageOID.CLIENT_AUTH]),
                                  critical=False))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        cert = builder.sign(self.key, hashes.SHA256())
        cert_file, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        replace(key_file, pem_key(key), 0o600)
        replace(cert_file, pem(cert))
        return cert_file, key_file

    def write_crl(self, certs, name="crl", end=24 * HOUR):
        """The list of revoked certificates, given by file."""
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.cert.subject)
                   .last_update(now() - HOUR).next_update(now() + end))
        for file in certs:
            serial = x509.load_pem_x509_certificate(pathlib.Path(file).read_bytes()).serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial)
                .revocation_date(now() - HOUR).build())
        path = self.folder / f"{name}.pem"
        replace(path, pem(builder.sign(self.key, hashes.SHA256())))
        return path


def write_standard_set(folder):
    ca, other = TestCa(folder), TestCa(folder, "other-ca")
    here = {"ips": ["127.0.0.1", "::1"], "dns": ["localhost"]}
    ca.issue("server", **here)
    ca.issue("server2", **here)
    ca.issue("server-expired", start=-48 * HOUR, end=-24 * HOUR, **here)
    ca.issue("server-future", start=24 * HOUR, end=48 * HOUR, **here)
    ca.issue("server-elsewhere", dns=["elsewhere.example"], ips=["10.9.8.7"])
    other.issue("server-other", **here)
    ca.issue("alice", dns=["alice.example"])
    ca.issue("bob", dns=["bob.example"])
    ca.issue("client-expired", start=-48 * HOUR, end=-24 * HOUR)
    ca.issue("client-future", start=24 * HOUR, end=48 * HOUR)
    other.issue("client-other")
    revoked, _ = ca.issue("client-revoked")
    ca.write_crl([revoked])
    ca.write_crl([revoked], name="crl-old", end=-datetime.timedelta(minutes=30))


if __name__ == "__main__":
    write_standard_set(sys.argv[1])
