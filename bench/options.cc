#include "bench/options.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>

namespace keel::bench {
namespace {

const std::map<std::string, Workload> kWorkloads = {
    {"put", Workload::kPut},     {"range", Workload::kRange}, {"txn", Workload::kTxn},
    {"mixed", Workload::kMixed}, {"watch", Workload::kWatch}, {"lease", Workload::kLease},
    {"pages", Workload::kPages}, {"idle", Workload::kIdle},   {"fill", Workload::kFill}};

const std::map<std::string, KeyOrder> kOrders = {{"sequential", KeyOrder::kSequential},
                                                 {"random", KeyOrder::kRandom},
                                                 {"distinct", KeyOrder::kDistinct}};

}  // namespace

const char* NameOf(Workload workload) {
  for (const auto& [name, value] : kWorkloads) {
    if (value == workload) return name.c_str();
  }
  return "?";
}

std::optional<Options> ParseOptions(int argc, char** argv, int* exit_code) {
  Options o;
  double duration_s = 10, warmup_s = 2, timeout_s = 10;
  bool no_prefill = false;
  CLI::App app("Puts load on any etcd v3 endpoint and prints what it got out of it.", "kvbench");
  app.footer(
      "Examples:\n"
      "  kvbench put --connections 10 --streams 50\n"
      "  kvbench range --serializable --server-pids $(pidof kvd | tr ' ' ,)\n"
      "  kvbench put --rate 5000 --duration 30          # open loop\n"
      "  kvbench watch --watchers 1000 --rate 100\n"
      "  kvbench watch --watchers 1000 --rate 0         # as fast as all are told\n"
      "  kvbench fill --keys 1000000 --key-size 64\n"
      "  kvbench pages --no-prefill --range-keys 100000 --page 500 --total 1 --connections 1 "
      "--streams 1\n"
      "docs/benchmarking.md says what is measured and how.");
  app.add_option(
         "workload", o.workload,
         "put, range, txn (compare and put), mixed (puts and ranges), watch (puts to many "
         "watchers), lease (keep-alives), pages (lists of --range-keys in pages), idle (watchers "
         "of keys that do not change), fill (write the key space, in transactions)")
      ->required()
      ->transform(CLI::CheckedTransformer(kWorkloads, CLI::ignore_case).description(""));
  app.add_option("--endpoints", o.endpoints, "HOST:PORT,...: connections are spread over them")
      ->delimiter(',')
      ->envname("KVCTL_ENDPOINTS")
      ->capture_default_str();
  base::TlsOptions tls;
  app.add_option("--cacert", tls.trusted_ca_file,
                 "speak TLS with servers that this CA vouches for");
  app.add_option("--cert", tls.cert_file, "to show them, with --cacert");
  app.add_option("--key", tls.key_file, "of --cert");
  app.add_option("--connections", o.connections)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--streams", o.streams, "calls in flight on each connection")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--threads", o.threads, "of kvbench")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--keys", o.keys, "size of the key space")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--order", o.order, "sequential, random or distinct (never a key twice)")
      ->transform(CLI::CheckedTransformer(kOrders, CLI::ignore_case).description(""));
  app.add_option("--key-size", o.key_size_bytes, "bytes")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--value-size", o.value_size_bytes, "bytes")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--prefix", o.prefix, "of every key")->capture_default_str();
  app.add_option("--range-keys", o.range_keys, "keys read by one range, or one list")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--page", o.page_keys, "keys of a page, of pages")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--serializable", o.serializable, "ranges ask one member only");
  app.add_option("--read-percent", o.read_percent, "of mixed")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  app.add_flag("--no-prefill", no_prefill, "do not write the key space before reading it");
  auto* rate = app.add_option("--rate", o.rate,
                              "operations a second (open loop); 0: as fast as answered; watch: 100")
                   ->check(CLI::NonNegativeNumber)
                   ->capture_default_str();
  app.add_option("--duration", duration_s, "seconds measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--total", o.total, "operations, instead of a duration; no warm-up");
  app.add_option("--warmup", warmup_s, "seconds before that")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--timeout", timeout_s, "seconds an operation may take")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--watchers", o.watchers, "in all, of watch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--window", o.window,
                 "of watch with rate 0: puts that not all watchers have seen yet")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--watchers-per-stream", o.watchers_per_stream)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--server-pids", o.server_pids, "PID,...: report their processor time and memory")
      ->delimiter(',');
  app.add_flag("--json", o.json, "print one line of JSON");
  app.add_option("--seed", o.seed, "of keys and values")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    *exit_code = app.exit(e, std::cout, std::cerr) == 0 ? 0 : 2;
    return std::nullopt;
  }
  if (!tls.trusted_ca_file.empty()) {
    tls.protocols = {"h2"};
    auto context = base::TlsContext::Create(std::move(tls), base::TlsRole::kClient);
    if (!context.ok()) {
      std::cerr << context.status().message() << "\n";
      *exit_code = 2;
      return std::nullopt;
    }
    o.tls = *std::move(context);
  }
  const auto ns = [](double seconds) {
    return std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
  };
  o.duration = ns(duration_s);
  o.warmup = o.total != 0 ? ns(0) : ns(warmup_s);
  o.timeout = ns(timeout_s);
  o.prefill = !no_prefill;
  o.threads = std::min(o.threads, o.connections);
  if (o.workload == Workload::kWatch) {
    if (rate->count() == 0) o.rate = 100;
    o.value_size_bytes = std::max(o.value_size_bytes, 8);
  }
  return o;
}

}  // namespace keel::bench
