#include "orchestrator/apiserver/server_metrics.h"

#include "absl/strings/ascii.h"
#include "base/strings.h"

namespace keel::orchestrator {

namespace {

std::string LabelsOf(const RequestInfo& info) {
  const std::string verb = absl::AsciiStrToUpper(info.verb);
  const bool many = info.verb == "list" || info.verb == "watch" || info.verb == "deletecollection";
  const std::string scope = !info.is_resource ? ""
                            : !many           ? "resource"
                            : info.ns.empty() ? "cluster"
                                              : "namespace";
  return base::StrCat("verb=\"", verb, "\",group=\"", info.group, "\",version=\"", info.version,
                      "\",resource=\"", info.resource, "\",subresource=\"", info.subresource,
                      "\",scope=\"", scope, "\"");
}

}  // namespace

void ServerMetrics::Begun(const RequestInfo&) { ++running_; }

void ServerMetrics::Answered(const RequestInfo& info, int code, Seconds took) {
  --running_;
  // What names no resource of ours would make figures without bound.
  const std::string labels = code == 404 && !info.is_resource ? "verb=\"OTHER\"" : LabelsOf(info);
  ++totals_[base::StrCat(labels, ",code=\"", code, "\"")];
  if (info.verb == "watch" || !info.is_resource) return;
  Histogram& histogram = durations_[labels];
  size_t bucket = 0;
  while (bucket < kBuckets.size() && took.count() > kBuckets[bucket]) ++bucket;
  ++histogram.counts[bucket];
  histogram.sum += took.count();
  ++histogram.count;
}

std::string ServerMetrics::Text(const Cache& cache) const {
  std::string out;
  auto head = [&out](std::string_view name, std::string_view type, std::string_view help) {
    out += base::StrCat("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
  };
  head("apiserver_request_total", "counter", "Requests by verb, resource and code.");
  for (const auto& [labels, count] : totals_) {
    out += base::StrCat("apiserver_request_total{", labels, "} ", count, "\n");
  }
  head("apiserver_request_duration_seconds", "histogram",
       "Time from a request's arrival to the beginning of its answer.");
  for (const auto& [labels, histogram] : durations_) {
    uint64_t sum = 0;
    for (size_t i = 0; i < kBuckets.size(); ++i) {
      sum += histogram.counts[i];
      out += base::StrCat("apiserver_request_duration_seconds_bucket{", labels, ",le=\"",
                          kBuckets[i], "\"} ", sum, "\n");
    }
    out += base::StrCat("apiserver_request_duration_seconds_bucket{", labels, ",le=\"+Inf\"} ",
                        histogram.count, "\n", "apiserver_request_duration_seconds_sum{", labels,
                        "} ", histogram.sum, "\napiserver_request_duration_seconds_count{", labels,
                        "} ", histogram.count, "\n");
  }
  head("apiserver_current_inflight_requests", "gauge", "Requests that wait for their answer.");
  out += base::StrCat("apiserver_current_inflight_requests ", running_, "\n");
  head("apiserver_longrunning_requests", "gauge", "Watches that are open, by resource.");
  for (const auto& [name, resource] : cache.resources()) {
    out += base::StrCat("apiserver_longrunning_requests{verb=\"WATCH\",resource=\"", name, "\"} ",
                        resource->listeners(), "\n");
  }
  head("apiserver_storage_objects", "gauge", "Objects of the cache, by resource.");
  for (const auto& [name, resource] : cache.resources()) {
    out +=
        base::StrCat("apiserver_storage_objects{resource=\"", name, "\"} ", resource->size(), "\n");
  }
  head("keel_apiserver_cache_bytes", "gauge", "Memory of the cached objects, by resource.");
  head("keel_apiserver_ring_bytes", "gauge", "Memory of recent events, by resource.");
  for (const auto& [name, resource] : cache.resources()) {
    out += base::StrCat("keel_apiserver_cache_bytes{resource=\"", name, "\"} ",
                        resource->object_bytes(), "\nkeel_apiserver_ring_bytes{resource=\"", name,
                        "\"} ", resource->ring().bytes(), "\n");
  }
  head("keel_apiserver_cache_revision", "gauge",
       "The store's revision that the cache has come to.");
  out += base::StrCat("keel_apiserver_cache_revision ", cache.revision(), "\n");
  return out;
}

}  // namespace keel::orchestrator
