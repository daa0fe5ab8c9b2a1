#include "bench/report.h"

#include <algorithm>
#include <boost/json/src.hpp>  // Boost.JSON as headers: its code, once in the program.
#include <cmath>
#include <initializer_list>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/json_text.h"

namespace keel::bench {
namespace {

double PerSecond(const Report& report, uint64_t count) {
  return report.seconds > 0 ? static_cast<double>(count) / report.seconds : 0;
}

double Each(double total, uint64_t count) {
  return count == 0 ? 0 : total / static_cast<double>(count);
}

// What processor time is spread over: operations, and for watches events too.
uint64_t Work(const Report& report) {
  return report.found.latency_ns.count() + report.found.event_latency_ns.count();
}

std::string Latencies(const Histogram& h) {
  const auto ms = [](int64_t ns) { return static_cast<double>(ns) / 1e6; };
  return absl::StrFormat("p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f  mean %.3f ms",
                         ms(h.Percentile(50)), ms(h.Percentile(90)), ms(h.Percentile(99)),
                         ms(h.Percentile(99.9)), ms(h.max()), h.Mean() / 1e6);
}

boost::json::object LatenciesJson(const Histogram& h) {
  const auto us = [](double ns) { return std::round(ns / 100) / 10; };
  boost::json::object json;
  for (const auto& [name, percent] : std::initializer_list<std::pair<const char*, double>>{
           {"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"max", 100}}) {
    json[name] = us(static_cast<double>(h.Percentile(percent)));
  }
  json["mean"] = us(h.Mean());
  return json;
}

}  // namespace

std::string ToText(const Report& report) {
  const Options& options = *report.options;
  const Found& found = report.found;
  std::string text = absl::StrFormat(
      "%s: %d connections x %d streams, %d thread%s, keys %d B of %d, values %d B, %s\n",
      NameOf(options.workload), options.connections, options.streams, options.threads,
      options.threads == 1 ? "" : "s", options.key_size_bytes, options.keys,
      options.value_size_bytes,
      options.rate > 0 ? absl::StrFormat("%.0f/s offered", options.rate) : "closed loop");
  text += absl::StrFormat("  operations  %d in %.2f s: %.0f/s\n", found.latency_ns.count(),
                          report.seconds, PerSecond(report, found.latency_ns.count()));
  text += "  latency     " + Latencies(found.latency_ns) + "\n";
  if (options.workload == Workload::kWatch) {
    text +=
        absl::StrFormat("  events      %d: %.0f/s to %d watchers\n", found.event_latency_ns.count(),
                        PerSecond(report, found.event_latency_ns.count()), options.watchers);
    text += "  put->event  " + Latencies(found.event_latency_ns) + "\n";
  }
  if (found.unstarted > 0) {
    text +=
        absl::StrFormat("  behind      %d calls were due and could not be sent\n", found.unstarted);
  }
  uint64_t errors = 0;
  for (const auto& [what, count] : found.errors) errors += count;
  text += absl::StrFormat("  errors      %d\n", errors);
  for (const auto& [what, count] : found.errors)
    text += absl::StrFormat("    %d x %s\n", count, what);
  double servers_us = 0;
  for (const ProcessUse& server : report.servers) {
    text += absl::StrFormat(
        "  server %-7d %.2f us/op, %.0f %% of a core, %.1f MiB resident (most: %.1f)\n", server.pid,
        Each(server.cpu_us, Work(report)), server.cpu_us / report.seconds / 1e4,
        static_cast<double>(server.rss_bytes) / (1 << 20),
        static_cast<double>(server.rss_max_bytes) / (1 << 20));
    servers_us += server.cpu_us;
  }
  if (report.servers.size() > 1) {
    text += absl::StrFormat("  servers     %.2f us/op together\n", Each(servers_us, Work(report)));
  }
  text += absl::StrFormat("  kvbench     %.2f us/op\n", Each(report.own_cpu_us, Work(report)));
  return text;
}

std::string ToJson(const Report& report) {
  const Options& options = *report.options;
  const Found& found = report.found;
  boost::json::object json;
  json["workload"] = NameOf(options.workload);
  json["connections"] = options.connections;
  json["streams"] = options.streams;
  json["seconds"] = report.seconds;
  json["operations"] = found.latency_ns.count();
  json["operations_per_second"] = PerSecond(report, found.latency_ns.count());
  json["latency_us"] = LatenciesJson(found.latency_ns);
  if (options.workload == Workload::kWatch) {
    json["events"] = found.event_latency_ns.count();
    json["events_per_second"] = PerSecond(report, found.event_latency_ns.count());
    json["event_latency_us"] = LatenciesJson(found.event_latency_ns);
  }
  json["unstarted"] = found.unstarted;
  uint64_t errors = 0;
  boost::json::object texts;
  for (const auto& [what, count] : found.errors) {
    errors += count;
    texts[what] = count;
  }
  json["errors"] = errors;
  json["error_texts"] = std::move(texts);
  json["client_cpu_us_per_op"] = Each(report.own_cpu_us, Work(report));
  double servers_us = 0;
  boost::json::array servers;
  for (const ProcessUse& server : report.servers) {
    servers_us += server.cpu_us;
    servers.push_back({{"pid", server.pid},
                       {"cpu_us_per_op", Each(server.cpu_us, Work(report))},
                       {"rss_bytes", server.rss_bytes},
                       {"rss_max_bytes", server.rss_max_bytes}});
  }
  json["servers"] = std::move(servers);
  if (!report.servers.empty()) json["server_cpu_us_per_op"] = Each(servers_us, Work(report));
  return JsonText(json);
}

}  // namespace keel::bench
