// One JSON value a line, as Go would write etcdctl's structs. Most are the
// response itself; those with a form of their own are spelled out here.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/go_json.h"
#include "kvstore/kvctl/printer.h"

namespace keel::kvctl {
namespace {

class JsonPrinter final : public Printer {
 public:
  using Printer::Printer;

  void Watch(const etcdserverpb::WatchResponse& response) override {
    std::string events;
    for (const auto& event : response.events()) {
      absl::StrAppend(&events, events.empty() ? "" : ",", GoJson(event));
    }
    Line(absl::StrCat("{\"Header\":", GoJson(response.header()), ",\"Events\":[", events,
                      "],\"CompactRevision\":", response.compact_revision(), ",\"Canceled\":",
                      Bool(response.canceled()), ",\"Created\":", Bool(response.created()), "}"));
  }

  void Grant(const etcdserverpb::LeaseGrantResponse& response) override {
    Line(WithHeader(response.header(),
                    absl::StrCat("\"ID\":", response.id(), ",\"TTL\":", response.ttl(),
                                 ",\"Error\":", JsonString(response.error()))));
  }
  void KeepAlive(const etcdserverpb::LeaseKeepAliveResponse& response) override {
    Line(WithHeader(response.header(),
                    absl::StrCat("\"ID\":", response.id(), ",\"TTL\":", response.ttl())));
  }
  void TimeToLive(const etcdserverpb::LeaseTimeToLiveResponse& response, bool keys) override {
    std::string list = "null";
    if (keys && !response.keys().empty()) {
      list = absl::StrCat("[",
                          absl::StrJoin(response.keys(), ",",
                                        [](std::string* out, const std::string& key) {
                                          absl::StrAppend(out, "\"", Base64(key), "\"");
                                        }),
                          "]");
    }
    Line(WithHeader(response.header(),
                    absl::StrCat("\"id\":", response.id(), ",\"ttl\":", response.ttl(),
                                 ",\"granted-ttl\":", response.grantedttl(), ",\"keys\":", list)));
  }
  void Leases(const etcdserverpb::LeaseLeasesResponse& response) override {
    const std::string list =
        absl::StrJoin(response.leases(), ",", [](std::string* out, const auto& lease) {
          absl::StrAppend(out, "{\"id\":", lease.id(), "}");
        });
    Line(WithHeader(response.header(), absl::StrCat("\"leases\":[", list, "]")));
  }

  void Status(const std::vector<EndpointStatus>& all) override {
    List(all, [](const EndpointStatus& one) {
      return absl::StrCat("{\"Endpoint\":", JsonString(one.endpoint),
                          ",\"Status\":", GoJson(one.status), "}");
    });
  }
  void Health(const std::vector<EndpointHealth>& all) override {
    List(all, [](const EndpointHealth& one) {
      return absl::StrCat("{\"endpoint\":", JsonString(one.endpoint),
                          ",\"health\":", Bool(one.error.empty()),
                          ",\"took\":", JsonString(FormatDuration(one.took)),
                          one.error.empty() ? "" : ",\"error\":" + JsonString(one.error), "}");
    });
  }
  void HashKV(const std::vector<EndpointHashKV>& all) override {
    List(all, [](const EndpointHashKV& one) {
      return absl::StrCat("{\"Endpoint\":", JsonString(one.endpoint),
                          ",\"HashKV\":", GoJson(one.hash), "}");
    });
  }

 protected:
  void Other(const google::protobuf::Message& response) override { Line(GoJson(response)); }

 private:
  static const char* Bool(bool value) { return value ? "true" : "false"; }
  void Line(const std::string& json) { out_ << json << "\n"; }
  // The header's fields beside the others, not within.
  static std::string WithHeader(const etcdserverpb::ResponseHeader& header,
                                const std::string& fields) {
    const std::string head = GoJsonFields(header);
    return absl::StrCat("{", head, head.empty() ? "" : ",", fields, "}");
  }
  template <typename All, typename Each>
  void List(const All& all, Each each) {
    Line(absl::StrCat(
        "[",
        absl::StrJoin(all, ",",
                      [&](std::string* out, const auto& one) { absl::StrAppend(out, each(one)); }),
        "]"));
  }
};

}  // namespace

std::unique_ptr<Printer> MakeJsonPrinter(std::ostream& out) {
  return std::make_unique<JsonPrinter>(out);
}

}  // namespace keel::kvctl
