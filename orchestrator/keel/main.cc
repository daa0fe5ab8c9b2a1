// keel: a whole cluster on this machine, with one command.
//
//   keel up        starts it; keel down, keel status, keel kubeconfig
//
// Exit codes: 0, 1 when it cannot be done (said on standard error), 2 for flags that make no sense,
// 3 from `keel status` when nothing runs.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "base/asio_loop.h"
#include "base/strings.h"
#include "orchestrator/keel/cluster_files.h"
#include "orchestrator/keel/cluster_run.h"
#include "orchestrator/keel/cluster_state.h"
#include "orchestrator/keel/plan.h"
#include "orchestrator/keel/process.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

int Complain(std::string_view what) {
  std::cerr << "keel: " << what << "\n";
  return 1;
}

std::string Text(const absl::Status& status) { return std::string(base::ToStd(status.message())); }

// Where progress goes: standard output, and, detached, only until the cluster is up.
class Progress {
 public:
  explicit Progress(int fd) : fd_(fd) {}
  void Say(const std::string& line) {
    const std::string text = line + "\n";
    std::ignore = write(fd_, text.data(), text.size());
  }
  // The rest goes to that file.
  void GoOnIn(const std::string& path) {
    const int log = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log >= 0) dup2(log, fd_);
  }

 private:
  int fd_;
};

// What stands in the way of starting; empty when nothing does.
std::string Obstacle(const ClusterOptions& options, const std::string& programs) {
  const ClusterFiles files(options.data_dir);
  if (const auto state = ReadState(files.state); state.ok()) {
    if (IsUp(*state)) {
      return StrCat("a cluster runs on ", options.data_dir, " already (process ", state->keel_pid,
                    "); `keel down --data ", options.data_dir, "` stops it");
    }
    if (state->options.members != options.members || state->options.port != options.port) {
      return StrCat("the data in ", options.data_dir,
                    " are of a cluster with --members=", state->options.members,
                    " --port=", state->options.port,
                    "; use these, another --data, or remove that folder");
    }
  }
  std::string taken, missing;
  for (const DaemonPlan& plan : PlanCluster(options, programs)) {
    for (const uint16_t port : plan.ports) {
      if (!PortIsFree(port)) taken += StrCat(taken.empty() ? "" : ", ", port, " (", plan.name, ")");
    }
    if (access(plan.command[0].c_str(), X_OK) != 0 &&
        missing.find(plan.command[0]) == std::string::npos) {
      missing += " " + plan.command[0];
    }
  }
  if (!missing.empty()) return StrCat("these programs are not there:", missing);
  if (!taken.empty()) {
    return StrCat("these ports are in use: ", taken, "; free them, or choose others with --port (",
                  options.port, " and those that follow from it)");
  }
  return "";
}

std::string HowToGoOn(const ClusterOptions& options) {
  const ClusterFiles files(options.data_dir);
  return StrCat(
      "The cluster is up.\n\n  export KUBECONFIG=", files.kubeconfig,
      "\n  kubectl get nodes\n  kubectl run web --image=nginx && kubectl get pods -o wide\n"
      "\n  logs:    ",
      files.logs, "\n  status:  keel status --data ", options.data_dir,
      "\n  stop:    keel down --data ", options.data_dir);
}

int RunCluster(const ClusterOptions& options, Progress& progress, bool detached) {
  const ClusterFiles files(options.data_dir);
  base::AsioLoop loop("keel");
  int code = 0;
  ClusterRun run(loop, options, OwnFolder(), [&](const std::string& line) { progress.Say(line); });
  const auto stop = [&](int exit_code) {
    code = exit_code;
    run.Stop([&] { loop.Stop(); });
  };
  boost::asio::signal_set signals(loop.context(), SIGTERM, SIGINT, SIGHUP);
  std::function<void()> wait_for_signal = [&] {
    signals.async_wait([&](boost::system::error_code error, int number) {
      if (error) return;
      if (number == SIGHUP && detached) return wait_for_signal();
      progress.Say("stopping");
      stop(run.up() ? 0 : 1);
    });
  };
  wait_for_signal();
  loop.Post([&] {
    run.Start([&](absl::Status status) {
      if (!status.ok()) {
        progress.Say("keel: " + Text(status));
        return stop(1);
      }
      progress.Say(HowToGoOn(options));
      if (detached) {
        progress.Say("");  // The last that the foreground waits for.
        progress.GoOnIn(files.logs + "/keel.log");
      } else {
        progress.Say("\nCtrl-C stops it.");
      }
    });
  });
  loop.Run();
  if (code == 0) progress.Say("stopped; the data stay in " + options.data_dir);
  return code;
}

int Up(const ClusterOptions& given, bool detach) {
  ClusterOptions options = given;
  options.data_dir = std::filesystem::absolute(given.data_dir).lexically_normal();
  if (const absl::Status status = options.Validate(); !status.ok()) {
    Complain(Text(status));
    return 2;
  }
  if (const std::string obstacle = Obstacle(options, OwnFolder()); !obstacle.empty()) {
    return Complain(obstacle);
  }
  if (const absl::Status status = WriteClusterFiles(options); !status.ok()) {
    return Complain(Text(status));
  }
  const ClusterFiles files(options.data_dir);
  const int lock = open(files.lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return Complain(StrCat("another keel works on ", options.data_dir));
  }
  std::signal(SIGPIPE, SIG_IGN);
  const std::string hello = StrCat("Starting a cluster under ", options.data_dir);
  if (!detach) {
    Progress progress(STDOUT_FILENO);
    progress.Say(hello);
    return RunCluster(options, progress, false);
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Complain(std::strerror(errno));
  const pid_t child = fork();
  if (child < 0) return Complain(std::strerror(errno));
  if (child == 0) {
    setsid();
    close(ends[0]);
    const int null = open("/dev/null", O_RDWR);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
    Progress progress(ends[1]);
    progress.Say(hello);
    _exit(RunCluster(options, progress, true));
  }
  close(ends[1]);
  std::string text;
  char part[4096];
  // Up when it closes its end after "is up", else it has failed.
  for (ssize_t size; (size = read(ends[0], part, sizeof part)) != 0;) {
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    std::cout.write(part, size).flush();
    text.append(part, static_cast<size_t>(size));
  }
  return text.find("The cluster is up.") != std::string::npos ? 0 : 1;
}

absl::StatusOr<ClusterState> StateOf(const std::string& data_dir) {
  const std::string root = std::filesystem::absolute(data_dir).lexically_normal();
  return ReadState(ClusterFiles(root).state);
}

int Down(const std::string& data_dir) {
  const absl::StatusOr<ClusterState> state = StateOf(data_dir);
  if (!state.ok()) return Complain(Text(state.status()));
  if (!IsUp(*state)) {
    std::cout << "nothing runs on " << data_dir << "\n";
    return 0;
  }
  kill(state->keel_pid, SIGTERM);
  for (int tenths = 0; tenths < 900; ++tenths) {
    if (!IsUp(*state)) {
      std::cout << "stopped; the data stay in " << data_dir << "\n";
      return 0;
    }
    usleep(100 * 1000);
  }
  return Complain(StrCat("process ", state->keel_pid, " has not stopped after 90 s"));
}

int Status(const std::string& data_dir) {
  const absl::StatusOr<ClusterState> state = StateOf(data_dir);
  if (!state.ok()) return Complain(Text(state.status()));
  const bool up = IsUp(*state);
  std::cout << (up ? state->ready ? "up" : "starting" : "stopped") << ", kubeconfig "
            << ClusterFiles(state->options.data_dir).kubeconfig << "\n\n"
            << StatusTable(*state);
  return up ? 0 : 3;
}

int Kubeconfig(const std::string& data_dir, bool path_only) {
  const std::string root = std::filesystem::absolute(data_dir).lexically_normal();
  const std::string path = ClusterFiles(root).kubeconfig;
  std::ifstream file(path);
  if (!file) return Complain(StrCat("no cluster was made here: no ", path));
  if (path_only) {
    std::cout << path << "\n";
  } else {
    std::cout << std::string(std::istreambuf_iterator<char>(file), {});
  }
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app("A whole cluster on this machine: store, API server, controllers, scheduler, nodes.",
               "keel");
  app.set_version_flag("--version", "Kubernetes v1.35.0+keel");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  keel up                                      three members, three nodes, until Ctrl-C\n"
      "  keel up --detach --nodes=100 --data /tmp/k   in the background\n"
      "  keel up --apiservers=2 --schedulers=2 --controller-managers=2\n"
      "  export KUBECONFIG=$(keel kubeconfig --path) && kubectl get nodes\n"
      "  keel down");
  ClusterOptions options;
  bool detach = false, path_only = false;
  options.data_dir = "keel-cluster";

  CLI::App* up = app.add_subcommand("up", "start a cluster and keep it up");
  up->add_option("--nodes", options.nodes, "hollow nodes")->capture_default_str();
  up->add_option("--members", options.members, "of the store: 1, 3 or 5")->capture_default_str();
  up->add_option("--apiservers", options.apiservers)->capture_default_str();
  up->add_option("--controller-managers", options.controller_managers,
                 "one works, the others wait for its end")
      ->capture_default_str();
  up->add_option("--schedulers", options.schedulers, "one works, the others wait for its end")
      ->capture_default_str();
  up->add_option("--port", options.port, "of the API server; the other ports follow from it")
      ->capture_default_str();
  up->add_flag("--detach", detach, "come back when it is up; `keel down` stops it");
  up->add_option("--apiserver-flag", options.apiserver_flags,
                 "one more flag for keel-apiserver, as --apiserver-flag=--v=4; may be repeated")
      ->take_all();
  up->add_option("--node-flag", options.node_flags, "one more flag for keel-node; may be repeated")
      ->take_all();
  CLI::App* down = app.add_subcommand("down", "stop a cluster; its data stay");
  CLI::App* status = app.add_subcommand("status", "what runs, where, and how often it died");
  CLI::App* kubeconfig = app.add_subcommand("kubeconfig", "print the administrator's kubeconfig");
  kubeconfig->add_flag("--path", path_only, "only where it is");
  for (CLI::App* command : {up, down, status, kubeconfig}) {
    command->add_option("--data", options.data_dir, "folder of the cluster")->capture_default_str();
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (*up) return Up(options, detach);
  if (*down) return Down(options.data_dir);
  if (*status) return Status(options.data_dir);
  return Kubeconfig(options.data_dir, path_only);
}

}  // namespace
}  // namespace keel::orchestrator

int main(int argc, char** argv) { return keel::orchestrator::Main(argc, argv); }
