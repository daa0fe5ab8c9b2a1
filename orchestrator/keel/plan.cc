#include "orchestrator/keel/plan.h"

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

std::string Numbered(std::string_view name, uint32_t index, uint32_t count) {
  return count == 1 ? std::string(name) : StrCat(name, "-", index + 1);
}

std::string Url(uint16_t port) { return StrCat("https://127.0.0.1:", port); }

void Append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

DaemonPlan StoreMember(const ClusterOptions& o, const ClusterFiles& files,
                       const std::string& programs, uint32_t i) {
  std::string cluster;
  for (uint32_t j = 0; j < o.members; ++j) {
    cluster += StrCat(j == 0 ? "" : ",", "m", j + 1, "=", Url(StorePeerPort(o, j)));
  }
  const std::string client = Url(StoreClientPort(o, i)), peer = Url(StorePeerPort(o, i));
  const std::string cert = StrCat(files.pki, "/store"), ca = StrCat(files.pki, "/store-ca.crt");
  DaemonPlan plan{.name = Numbered("store", i, o.members)};
  plan.command = {programs + "/kvd",
                  StrCat("--name=m", i + 1),
                  StrCat("--data-dir=", files.store, "/m", i + 1),
                  "--listen-client-urls=" + client,
                  "--advertise-client-urls=" + client,
                  "--listen-peer-urls=" + peer,
                  "--initial-advertise-peer-urls=" + peer,
                  "--initial-cluster=" + cluster,
                  "--initial-cluster-token=keel-" + std::to_string(o.port),
                  "--cert-file=" + cert + ".crt",
                  "--key-file=" + cert + ".key",
                  "--trusted-ca-file=" + ca,
                  "--client-cert-auth=true",
                  "--peer-cert-file=" + cert + ".crt",
                  "--peer-key-file=" + cert + ".key",
                  "--peer-trusted-ca-file=" + ca,
                  "--peer-client-cert-auth=true",
                  "--max-txn-ops=1024"};
  plan.ports = {StoreClientPort(o, i), StorePeerPort(o, i)};
  plan.probed = true;
  return plan;
}

DaemonPlan ApiServer(const ClusterOptions& o, const ClusterFiles& files,
                     const std::string& programs, uint32_t i) {
  std::string store;
  for (uint32_t j = 0; j < o.members; ++j) {
    store += StrCat(j == 0 ? "" : ",", Url(StoreClientPort(o, j)));
  }
  const std::string server = StrCat(files.pki, "/apiserver");
  const std::string client = StrCat(files.pki, "/apiserver-store-client");
  DaemonPlan plan{.name = Numbered("apiserver", i, o.apiservers)};
  plan.command = {programs + "/keel-apiserver",
                  "--bind-address=127.0.0.1",
                  StrCat("--secure-port=", ApiPort(o, i)),
                  "--tls-cert-file=" + server + ".crt",
                  "--tls-private-key-file=" + server + ".key",
                  "--client-ca-file=" + files.pki + "/ca.crt",
                  "--authorization-mode=Node,RBAC",
                  "--etcd-servers=" + store,
                  "--etcd-cafile=" + files.pki + "/store-ca.crt",
                  "--etcd-certfile=" + client + ".crt",
                  "--etcd-keyfile=" + client + ".key",
                  "--service-account-issuer=https://kubernetes.default.svc",
                  "--service-account-key-file=" + files.account_key,
                  "--service-account-signing-key-file=" + files.account_key,
                  "--encryption-provider-config=" + files.encryption_config};
  Append(plan.command, o.apiserver_flags);
  plan.ports = {ApiPort(o, i)};
  plan.stage = 1;
  plan.probed = true;
  return plan;
}

}  // namespace

absl::Status ClusterOptions::Validate() const {
  if (members != 1 && members != 3 && members != 5) {
    return absl::InvalidArgumentError(
        StrCat("--members is 1, 3 or 5, not ", members, ": a majority decides"));
  }
  const std::pair<std::string_view, uint32_t> counts[] = {
      {"--apiservers", apiservers},
      {"--controller-managers", controller_managers},
      {"--schedulers", schedulers}};
  for (const auto& [flag, count] : counts) {
    if (count < 1 || count > 9) {
      return absl::InvalidArgumentError(StrCat(flag, " is 1 to 9, not ", count));
    }
  }
  if (nodes > 30000) {
    return absl::InvalidArgumentError(StrCat("--nodes is at most 30000, not ", nodes));
  }
  if (port < 1024 || port > 65000) {
    return absl::InvalidArgumentError(StrCat("--port is 1024 to 65000, not ", port));
  }
  return absl::OkStatus();
}

ClusterFiles::ClusterFiles(const std::string& data_dir)
    : root(data_dir),
      pki(data_dir + "/pki"),
      store(data_dir + "/store"),
      logs(data_dir + "/logs"),
      kubeconfig(data_dir + "/kubeconfig"),
      encryption_config(pki + "/encryption.yaml"),
      account_key(pki + "/service-accounts.key"),
      state(data_dir + "/state.json"),
      lock(data_dir + "/keel.lock") {}

std::string ClusterFiles::Kubeconfig(std::string_view identity) const {
  return StrCat(pki, "/", identity, ".kubeconfig");
}

std::string ClusterFiles::Log(std::string_view daemon) const {
  return StrCat(logs, "/", daemon, ".log");
}

uint16_t ApiPort(const ClusterOptions& options, uint32_t index) {
  return static_cast<uint16_t>(options.port + index);
}
uint16_t StoreClientPort(const ClusterOptions& options, uint32_t index) {
  return static_cast<uint16_t>(options.port + 100 + 2 * index);
}
uint16_t StorePeerPort(const ClusterOptions& options, uint32_t index) {
  return static_cast<uint16_t>(options.port + 101 + 2 * index);
}

std::string ApiServerUrls(const ClusterOptions& options) {
  std::string urls;
  for (uint32_t i = 0; i < options.apiservers; ++i) {
    urls += StrCat(i == 0 ? "" : ",", Url(ApiPort(options, i)));
  }
  return urls;
}

std::vector<DaemonPlan> PlanCluster(const ClusterOptions& o, const std::string& programs) {
  const ClusterFiles files(o.data_dir);
  std::vector<DaemonPlan> plans;
  for (uint32_t i = 0; i < o.members; ++i) plans.push_back(StoreMember(o, files, programs, i));
  for (uint32_t i = 0; i < o.apiservers; ++i) plans.push_back(ApiServer(o, files, programs, i));
  const std::string master = "--master=" + ApiServerUrls(o);
  const std::string ca = files.pki + "/ca.crt";
  for (uint32_t i = 0; i < o.controller_managers; ++i) {
    const auto port = static_cast<uint16_t>(o.port + 200 + i);
    plans.push_back({.name = Numbered("controller-manager", i, o.controller_managers),
                     .command = {programs + "/keel-controller-manager",
                                 "--kubeconfig=" + files.Kubeconfig("controller-manager"), master,
                                 "--bind-address=127.0.0.1", StrCat("--secure-port=", port),
                                 "--client-ca-file=" + ca, "--root-ca-file=" + ca},
                     .ports = {port},
                     .stage = 2});
  }
  for (uint32_t i = 0; i < o.schedulers; ++i) {
    const auto port = static_cast<uint16_t>(o.port + 300 + i);
    plans.push_back(
        {.name = Numbered("scheduler", i, o.schedulers),
         .command = {programs + "/keel-scheduler", "--kubeconfig=" + files.Kubeconfig("scheduler"),
                     master, "--bind-address=127.0.0.1", StrCat("--secure-port=", port),
                     "--client-ca-file=" + ca},
         .ports = {port},
         .stage = 2});
  }
  if (o.nodes > 0) {
    plans.push_back(
        {.name = "node",
         .command = {programs + "/keel-node", "--runtime=hollow", StrCat("--nodes=", o.nodes),
                     "--kubeconfig=" + files.Kubeconfig("node"), master},
         .stage = 2});
    Append(plans.back().command, o.node_flags);
  }
  for (DaemonPlan& plan : plans) plan.log = files.Log(plan.name);
  return plans;
}

}  // namespace keel::orchestrator
