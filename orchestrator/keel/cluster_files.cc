#include "orchestrator/keel/cluster_files.h"

#include <openssl/rand.h>

#include <filesystem>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/pki/authority.h"
#include "base/pki/certificate.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

struct Identity {
  std::string file;
  base::CertificateSpec spec;
};

// Users and groups as Kubernetes' RBAC knows them.
std::vector<Identity> Identities() {
  const auto client = [](std::string name, std::vector<std::string> organizations) {
    return base::CertificateSpec{
        .common_name = std::move(name), .organizations = std::move(organizations), .client = true};
  };
  return {{"admin", client("kubernetes-admin", {"system:masters"})},
          {"controller-manager", client("system:kube-controller-manager", {})},
          {"scheduler", client("system:kube-scheduler", {})},
          // One process for many nodes: none of them (docs/access.md).
          {"node", client("system:keel-hollow-nodes", {})}};
}

std::string Base64(std::string_view text) { return absl::Base64Escape(base::ToAbsl(text)); }

absl::Status WriteEncryptionConfig(const std::string& path) {
  if (std::filesystem::exists(path)) return absl::OkStatus();  // Secrets are written under it.
  unsigned char key[32];
  if (RAND_bytes(key, sizeof key) != 1) return absl::InternalError("no random bytes");
  const std::string secret = Base64({reinterpret_cast<const char*>(key), sizeof key});
  return base::WriteWithMode(path,
                             StrCat("apiVersion: apiserver.config.k8s.io/v1\n"
                                    "kind: EncryptionConfiguration\n"
                                    "resources:\n"
                                    "- resources: [secrets]\n"
                                    "  providers:\n"
                                    "  - aesgcm:\n"
                                    "      keys:\n"
                                    "      - name: key1\n"
                                    "        secret: ",
                                    secret,
                                    "\n"
                                    "  - identity: {}\n"),
                             0600);
}

}  // namespace

std::string KubeconfigText(std::string_view server, std::string_view ca, std::string_view user,
                           std::string_view certificate, std::string_view key) {
  return StrCat(
      "apiVersion: v1\n"
      "kind: Config\n"
      "clusters:\n"
      "- name: keel\n"
      "  cluster:\n"
      "    server: ",
      server, "\n    certificate-authority-data: ", Base64(ca),
      "\n"
      "contexts:\n"
      "- name: keel\n"
      "  context:\n"
      "    cluster: keel\n"
      "    user: ",
      user,
      "\n"
      "current-context: keel\n"
      "users:\n"
      "- name: ",
      user, "\n  user:\n    client-certificate-data: ", Base64(certificate),
      "\n    client-key-data: ", Base64(key), "\n");
}

absl::Status WriteClusterFiles(const ClusterOptions& options) {
  const ClusterFiles files(options.data_dir);
  std::error_code error;
  for (const std::string& folder : {files.root, files.pki, files.store, files.logs}) {
    std::filesystem::create_directories(folder, error);
    if (error) {
      return absl::UnavailableError(StrCat("cannot make ", folder, ": ", error.message()));
    }
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  KEEL_ASSIGN_OR_RETURN(const base::Authority store_ca,
                        base::Authority::Ensure(files.pki + "/store-ca", "keel-store-ca"));
  const std::vector<std::string> here = {"localhost", "127.0.0.1", "::1"};
  // Members are each other's clients too.
  KEEL_RETURN_IF_ERROR(store_ca.EnsureFiles(
      files.pki + "/store",
      {.common_name = "keel-store", .hosts = here, .server = true, .client = true}));
  KEEL_RETURN_IF_ERROR(store_ca.EnsureFiles(files.pki + "/apiserver-store-client",
                                            {.common_name = "keel-apiserver", .client = true}));

  KEEL_ASSIGN_OR_RETURN(const base::Authority ca,
                        base::Authority::Ensure(files.pki + "/ca", "kubernetes"));
  std::vector<std::string> hosts = here;
  for (const char* name : {"kubernetes", "kubernetes.default", "kubernetes.default.svc",
                           "kubernetes.default.svc.cluster.local", "10.96.0.1"}) {
    hosts.emplace_back(name);
  }
  KEEL_RETURN_IF_ERROR(ca.EnsureFiles(
      files.pki + "/apiserver", {.common_name = "kube-apiserver", .hosts = hosts, .server = true}));
  if (!std::filesystem::exists(files.account_key)) {
    KEEL_RETURN_IF_ERROR(base::WriteWithMode(files.account_key, base::NewRsaKeyPem(), 0600));
  }
  KEEL_RETURN_IF_ERROR(WriteEncryptionConfig(files.encryption_config));

  const std::string server = StrCat("https://127.0.0.1:", ApiPort(options, 0));
  for (const Identity& identity : Identities()) {
    const std::string base = StrCat(files.pki, "/", identity.file);
    KEEL_RETURN_IF_ERROR(ca.EnsureFiles(base, identity.spec));
    KEEL_ASSIGN_OR_RETURN(const base::KeyPair pair, base::ReadKeyPair(base));
    const std::string text =
        KubeconfigText(server, ca.certificate(), identity.file, pair.certificate, pair.key);
    const std::string path =
        identity.file == "admin" ? files.kubeconfig : files.Kubeconfig(identity.file);
    KEEL_RETURN_IF_ERROR(base::WriteWithMode(path, text, 0600));
  }
  return absl::OkStatus();
}

}  // namespace keel::orchestrator
