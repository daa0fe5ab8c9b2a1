"""A cluster's certificates for tests, with the names that Kubernetes gives its daemons.

    pki = Pki(folder)                                  # folder/ca.pem, folder/sa.key, folder/sa.pub, ...
    cert, key = pki.client("admin", "kubernetes-admin", ["system:masters"])
    pki.kubeconfig("admin", "https://127.0.0.1:6443")  # folder/admin.kubeconfig
"""

import base64
import datetime
import ipaddress
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Who each of the daemons is: common name and organizations (RBAC's users and groups).
IDENTITIES = {
    "admin": ("kubernetes-admin", ["system:masters"]),
    "controller-manager": ("system:kube-controller-manager", []),
    "scheduler": ("system:kube-scheduler", []),
    "node": ("system:keel-hollow-nodes", []),
}


def write(path, data, mode=0o600):
    path.write_bytes(data)
    path.chmod(mode)
    return path


def pem_key(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Pki:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes-ca")])
        cert = self._builder(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(self.key, hashes.SHA256())
        self.ca = write(self.folder / "ca.pem", cert.public_bytes(serialization.Encoding.PEM))
        self.server_cert, self.server_key = self._issue(
            "server", [x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")], ExtendedKeyUsageOID.SERVER_AUTH,
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName("kubernetes.default.svc"),
                                         x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]))
        accounts = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.account_key = write(self.folder / "sa.key", pem_key(accounts))
        self.account_public_key = write(self.folder / "sa.pub", accounts.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
        secret = base64.b64encode(os.urandom(32)).decode()
        self.encryption_config = write(self.folder / "encryption.yaml", f"""\
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - aesgcm:
      keys:
      - name: key1
        secret: {secret}
  - identity: {{}}
""".encode())
        for identity in IDENTITIES:
            self.client(identity, *IDENTITIES[identity])

    def _builder(self, subject, key):
        now = datetime.datetime.utcnow()
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(hours=1))
                .not_valid_after(now + datetime.timedelta(days=30)))

    def _issue(self, name, subject, usage, *extensions):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name(subject), key).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        cert = builder.sign(self.key, hashes.SHA256())
        return (write(self.folder / f"{name}.pem", cert.public_bytes(serialization.Encoding.PEM)),
                write(self.folder / f"{name}.key", pem_key(key)))

    def client(self, file, common_name, organizations=()):
        """A client certificate: folder/FILE.pem and folder/FILE.key."""
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
        return self._issue(file, subject, ExtendedKeyUsageOID.CLIENT_AUTH)

    def kubeconfig(self, file, server):
        """folder/FILE.kubeconfig, with the certificate of that name in it."""
        def data(path):
            return base64.b64encode(path.read_bytes()).decode()
        return write(self.folder / f"{file}.kubeconfig", f"""\
apiVersion: v1
kind: Config
clusters:
- name: keel
  cluster:
    server: {server}
    certificate-authority-data: {data(self.ca)}
contexts:
- name: keel
  context:
    cluster: keel
    user: {file}
current-context: keel
users:
- name: {file}
  user:
    client-certificate-data: {data(self.folder / f"{file}.pem")}
    client-key-data: {data(self.folder / f"{file}.key")}
""".encode())
