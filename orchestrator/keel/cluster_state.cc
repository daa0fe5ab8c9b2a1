#include "orchestrator/keel/cluster_state.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/pki/certificate.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/json.h"
#include "orchestrator/keel/process.h"

namespace keel::orchestrator {
namespace {

uint32_t CountAt(const json::value& value, std::string_view name) {
  return static_cast<uint32_t>(IntAt(value, {"options", name}));
}

}  // namespace

absl::Status WriteState(const std::string& path, const ClusterState& state) {
  json::array daemons;
  for (const ClusterState::Daemon& daemon : state.daemons) {
    json::array ports;
    for (const uint16_t port : daemon.ports) ports.emplace_back(port);
    daemons.push_back(json::object{{"name", daemon.name},
                                   {"pid", daemon.pid},
                                   {"restarts", daemon.restarts},
                                   {"ports", std::move(ports)},
                                   {"lastEnd", daemon.last_end},
                                   {"log", daemon.log},
                                   {"program", daemon.program}});
  }
  const ClusterOptions& o = state.options;
  const json::value value{{"keel", state.keel_pid},
                          {"ready", state.ready},
                          {"options",
                           {{"members", o.members},
                            {"apiservers", o.apiservers},
                            {"controllerManagers", o.controller_managers},
                            {"schedulers", o.schedulers},
                            {"nodes", o.nodes},
                            {"port", o.port}}},
                          {"daemons", std::move(daemons)}};
  return base::WriteWithMode(path, ToPrettyJson(value) + "\n", 0600);
}

absl::StatusOr<ClusterState> ReadState(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(base::StrCat("no cluster was made here: no ", path));
  KEEL_ASSIGN_OR_RETURN(const json::value value,
                        ParseJson(std::string(std::istreambuf_iterator<char>(file), {})));
  ClusterState state;
  state.keel_pid = static_cast<pid_t>(IntAt(value, {"keel"}));
  state.ready = BoolAt(value, {"ready"});
  state.options.data_dir = std::filesystem::path(path).parent_path();
  state.options.members = CountAt(value, "members");
  state.options.apiservers = CountAt(value, "apiservers");
  state.options.controller_managers = CountAt(value, "controllerManagers");
  state.options.schedulers = CountAt(value, "schedulers");
  state.options.nodes = CountAt(value, "nodes");
  state.options.port = static_cast<uint16_t>(CountAt(value, "port"));
  for (const json::value& from : ArrayAt(value, {"daemons"})) {
    ClusterState::Daemon daemon;
    daemon.name = StringAt(from, {"name"});
    daemon.pid = static_cast<pid_t>(IntAt(from, {"pid"}));
    daemon.restarts = static_cast<int>(IntAt(from, {"restarts"}));
    for (const json::value& port : ArrayAt(from, {"ports"})) {
      if (port.is_int64()) daemon.ports.push_back(static_cast<uint16_t>(port.get_int64()));
    }
    daemon.last_end = StringAt(from, {"lastEnd"});
    daemon.log = StringAt(from, {"log"});
    daemon.program = StringAt(from, {"program"});
    state.daemons.push_back(std::move(daemon));
  }
  return state;
}

bool IsUp(const ClusterState& state) {
  if (state.keel_pid <= 0) return false;
  // Not a later process of the same number.
  return std::filesystem::path(ProgramOf(state.keel_pid)).filename().string().starts_with("keel");
}

std::string StatusTable(const ClusterState& state) {
  std::vector<std::vector<std::string>> rows = {
      {"DAEMON", "STATE", "PROCESS", "PORTS", "MEMORY", "RESTARTS", "LAST END"}};
  for (const ClusterState::Daemon& daemon : state.daemons) {
    const bool runs = daemon.pid > 0 && !ProgramOf(daemon.pid).empty() && IsUp(state);
    std::string ports;
    for (const uint16_t port : daemon.ports) {
      ports += (ports.empty() ? "" : ",") + std::to_string(port);
    }
    const auto memory = runs ? ProportionalMemoryKib(daemon.pid) : std::nullopt;
    rows.push_back(
        {daemon.name, runs ? "running" : "stopped", runs ? std::to_string(daemon.pid) : "-",
         ports.empty() ? "-" : ports, memory ? base::StrCat((*memory + 512) / 1024, " MiB") : "-",
         std::to_string(daemon.restarts), daemon.last_end.empty() ? "-" : daemon.last_end});
  }
  std::vector<size_t> widths(rows[0].size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - row[i].size() + 3, ' ');
    }
    text += "\n";
  }
  return text;
}

}  // namespace keel::orchestrator
