// --config-file: etcd's YAML, as flags. Keys are the names of flags, but for
// those of TLS, which stand in sections:
//
//   name: a
//   initial-cluster: a=http://10.0.0.1:2380,b=http://10.0.0.2:2380
//   log-outputs: [stderr]
//   client-transport-security:
//     cert-file: /etc/kvd/server.crt
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace keel::kvstore {

struct ConfigEntry {
  std::string key;    // as in the file, sections and all: "client-transport-security.cert-file"
  std::string flag;   // without dashes
  std::string value;  // as on the command line; of a list, joined by commas
  int line = 0;       // from 1
};

// InvalidArgument with file and line: it cannot be read, is no YAML, or has a key that is unknown
// or given twice. Entries without a value are left out.
absl::StatusOr<std::vector<ConfigEntry>> ReadConfigFile(const std::string& path);
// The same of the file's text; `path` is for messages.
absl::StatusOr<std::vector<ConfigEntry>> ParseConfigFile(const std::string& path,
                                                         const std::string& text);

}  // namespace keel::kvstore
