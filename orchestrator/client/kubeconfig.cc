// ClientConfig from a kubeconfig file (https://kubernetes.io/docs/concepts/configuration/
// organize-cluster-access-kubeconfig/).
#include <sys/mman.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/client/api_client.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

std::string Text(const YAML::Node& node, const char* key) {
  if (!node.IsMap()) return {};
  const YAML::Node value = node[key];
  return value && value.IsScalar() ? value.Scalar() : std::string();
}

// The entry of that name in clusters, users or contexts.
absl::StatusOr<YAML::Node> Entry(const YAML::Node& root, const char* list, const char* member,
                                 const std::string& name) {
  const YAML::Node entries = root[list];
  if (entries && entries.IsSequence()) {
    for (const YAML::Node& entry : entries) {
      if (Text(entry, "name") == name && entry[member] && entry[member].IsMap()) {
        return entry[member];
      }
    }
  }
  return absl::InvalidArgumentError(StrCat("no \"", name, "\" in ", list));
}

// Key material stays in memory: the file is one that no folder names.
absl::StatusOr<std::string> FileOf(const std::string& base64, const char* what) {
  std::string bytes;
  if (!absl::Base64Unescape(base64, &bytes)) {
    return absl::InvalidArgumentError(StrCat(what, ": not base64"));
  }
  const int fd = ::memfd_create(what, MFD_CLOEXEC);
  if (fd < 0) return base::ErrnoStatus(errno, "memfd_create");
  size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t n = ::write(fd, bytes.data() + at, bytes.size() - at);
    if (n <= 0) {
      const int error = errno;
      ::close(fd);
      return base::ErrnoStatus(error, "write");
    }
    at += static_cast<size_t>(n);
  }
  return StrCat("/proc/self/fd/", fd);  // open as long as the process
}

// "KEY-data" wins over "KEY", whose path is relative to the kubeconfig's folder.
absl::Status ReadFile(const YAML::Node& node, const char* key, const std::filesystem::path& folder,
                      std::string& file) {
  if (const std::string data = Text(node, StrCat(key, "-data").c_str()); !data.empty()) {
    KEEL_ASSIGN_OR_RETURN(file, FileOf(data, StrCat(key, "-data").c_str()));
  } else if (const std::string path = Text(node, key); !path.empty()) {
    file = (folder / path).string();
  }
  return absl::OkStatus();
}

absl::StatusOr<ClientConfig> Read(const std::string& text, const std::filesystem::path& folder) {
  const YAML::Node root = YAML::Load(text);
  if (!root.IsMap()) return absl::InvalidArgumentError("not a kubeconfig");
  const std::string context_name = Text(root, "current-context");
  if (context_name.empty()) return absl::InvalidArgumentError("no current-context");
  KEEL_ASSIGN_OR_RETURN(const YAML::Node context, Entry(root, "contexts", "context", context_name));
  KEEL_ASSIGN_OR_RETURN(const YAML::Node cluster,
                        Entry(root, "clusters", "cluster", Text(context, "cluster")));
  ClientConfig config;
  config.servers = absl::StrSplit(Text(cluster, "server"), ',', absl::SkipEmpty());
  if (config.servers.empty()) return absl::InvalidArgumentError("the cluster has no server");
  KEEL_RETURN_IF_ERROR(ReadFile(cluster, "certificate-authority", folder, config.ca_file));
  config.insecure_skip_tls_verify = Text(cluster, "insecure-skip-tls-verify") == "true";
  config.tls_server_name = Text(cluster, "tls-server-name");
  if (const std::string name = Text(context, "user"); !name.empty()) {
    KEEL_ASSIGN_OR_RETURN(const YAML::Node user, Entry(root, "users", "user", name));
    KEEL_RETURN_IF_ERROR(ReadFile(user, "client-certificate", folder, config.cert_file));
    KEEL_RETURN_IF_ERROR(ReadFile(user, "client-key", folder, config.key_file));
    config.token = Text(user, "token");
    if (const std::string path = Text(user, "tokenFile"); !path.empty()) {
      config.token_file = (folder / path).string();
    }
    if (user["exec"] || user["auth-provider"]) {
      return absl::InvalidArgumentError(
          StrCat("user \"", name, "\": credentials by exec or auth-provider are not supported"));
    }
  }
  return config;
}

}  // namespace

absl::StatusOr<ClientConfig> ClientConfig::FromKubeconfig(const std::string& path) {
  std::ifstream file(path);
  if (!file) return base::ErrnoStatus(errno, StrCat("open ", path));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  try {
    absl::StatusOr<ClientConfig> config = Read(text, std::filesystem::path(path).parent_path());
    if (config.ok()) return config;
    return absl::Status(config.status().code(),
                        StrCat(path, ": ", base::ToStd(config.status().message())));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(StrCat(path, ": ", error.what()));
  }
}

absl::StatusOr<ClientConfig> ClientConfig::FromFlags(const std::string& kubeconfig,
                                                     const std::string& master) {
  ClientConfig config;
  if (!kubeconfig.empty()) {
    KEEL_ASSIGN_OR_RETURN(config, FromKubeconfig(kubeconfig));
  }
  if (!master.empty()) config.servers = absl::StrSplit(master, ',', absl::SkipEmpty());
  if (config.servers.empty()) {
    return absl::InvalidArgumentError("neither --kubeconfig nor --master was given");
  }
  return config;
}

}  // namespace keel::orchestrator
