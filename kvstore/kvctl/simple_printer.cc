// The format for people: one thing a line, nothing else.
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/printer.h"

namespace keel::kvctl {
namespace {

class SimplePrinter final : public Printer {
 public:
  SimplePrinter(const PrintOptions& options, std::ostream& out) : Printer(out), options_(options) {}

  void Get(const etcdserverpb::RangeResponse& response) override {
    if (options_.count_only) out_ << response.count() << "\n";
    for (const auto& kv : response.kvs()) Record(kv, options_.value_only);
  }
  void Put(const etcdserverpb::PutResponse& response) override {
    out_ << "OK\n";
    if (response.has_prev_kv()) Record(response.prev_kv(), false);
  }
  void Delete(const etcdserverpb::DeleteRangeResponse& response) override {
    out_ << response.deleted() << "\n";
    for (const auto& kv : response.prev_kvs()) Record(kv, false);
  }
  void Txn(const etcdserverpb::TxnResponse& response) override {
    out_ << (response.succeeded() ? "SUCCESS" : "FAILURE") << "\n";
    for (const auto& op : response.responses()) {
      out_ << "\n";
      if (op.has_response_put()) Put(op.response_put());
      if (op.has_response_range()) Get(op.response_range());
      if (op.has_response_delete_range()) Delete(op.response_delete_range());
      if (op.has_response_txn()) Txn(op.response_txn());
    }
  }
  void Watch(const etcdserverpb::WatchResponse& response) override {
    for (const auto& event : response.events()) {
      out_ << (event.type() == mvccpb::Event::PUT ? "PUT" : "DELETE") << "\n";
      if (event.has_prev_kv()) Record(event.prev_kv(), false);
      Record(event.kv(), false);
    }
  }

  void Grant(const etcdserverpb::LeaseGrantResponse& response) override {
    out_ << absl::StrFormat("lease %016x granted with TTL(%ds)\n", response.id(), response.ttl());
  }
  void Revoke(int64_t lease, const etcdserverpb::LeaseRevokeResponse&) override {
    out_ << absl::StrFormat("lease %016x revoked\n", lease);
  }
  void KeepAlive(const etcdserverpb::LeaseKeepAliveResponse& response) override {
    out_ << absl::StrFormat("lease %016x keepalived with TTL(%d)\n", response.id(), response.ttl());
  }
  void TimeToLive(const etcdserverpb::LeaseTimeToLiveResponse& response, bool keys) override {
    if (response.grantedttl() == 0 && response.ttl() == -1) {
      out_ << absl::StrFormat("lease %016x already expired\n", response.id());
      return;
    }
    out_ << absl::StrFormat("lease %016x granted with TTL(%ds), remaining(%ds)", response.id(),
                            response.grantedttl(), response.ttl());
    if (keys) out_ << ", attached keys([" << absl::StrJoin(response.keys(), " ") << "])";
    out_ << "\n";
  }
  void Leases(const etcdserverpb::LeaseLeasesResponse& response) override {
    out_ << absl::StrFormat("found %d leases\n", response.leases_size());
    for (const auto& lease : response.leases()) out_ << absl::StrFormat("%016x\n", lease.id());
  }

  void MemberList(const etcdserverpb::MemberListResponse& response) override {
    for (const auto& member : response.members()) Line(MemberCells(member));
  }
  void MemberAdd(const etcdserverpb::MemberAddResponse& response) override {
    Member(response.member().id(), "added to", response.header());
  }
  void MemberRemove(uint64_t id, const etcdserverpb::MemberRemoveResponse& response) override {
    Member(id, "removed from", response.header());
  }
  void MemberUpdate(uint64_t id, const etcdserverpb::MemberUpdateResponse& response) override {
    Member(id, "updated in", response.header());
  }
  void MemberPromote(uint64_t id, const etcdserverpb::MemberPromoteResponse& response) override {
    Member(id, "promoted in", response.header());
  }

  void Status(const std::vector<EndpointStatus>& all) override {
    for (const auto& one : all) Line(StatusCells(one));
  }
  void Health(const std::vector<EndpointHealth>& all) override {
    for (const auto& one : all) {
      out_ << one.endpoint;
      if (one.error.empty()) {
        out_ << " is healthy: successfully committed proposal: took = " << FormatDuration(one.took);
      } else {
        out_ << " is unhealthy: failed to commit proposal: " << one.error;
      }
      out_ << "\n";
    }
  }
  void HashKV(const std::vector<EndpointHashKV>& all) override {
    for (const auto& one : all) out_ << one.endpoint << ", " << one.hash.hash() << "\n";
  }
  void Alarm(const etcdserverpb::AlarmResponse& response) override {
    for (const auto& alarm : response.alarms()) {
      out_ << absl::StrFormat("memberID:%d alarm:%s \n", alarm.memberid(),
                              etcdserverpb::AlarmType_Name(alarm.alarm()));
    }
  }
  void MoveLeader(uint64_t from, uint64_t to, const etcdserverpb::MoveLeaderResponse&) override {
    out_ << absl::StrFormat("Leadership transferred from %x to %x\n", from, to);
  }

 private:
  void Record(const mvccpb::KeyValue& kv, bool value_only) {
    if (!value_only) out_ << (options_.hex ? HexEscape(kv.key()) : kv.key()) << "\n";
    out_ << (options_.hex ? HexEscape(kv.value()) : kv.value()) << "\n";
  }
  void Line(const std::vector<std::string>& cells) { out_ << absl::StrJoin(cells, ", ") << "\n"; }
  void Member(uint64_t id, const char* what, const etcdserverpb::ResponseHeader& header) {
    out_ << absl::StrFormat("Member %16x %s cluster %16x\n", id, what, header.cluster_id());
  }

  const PrintOptions options_;
};

}  // namespace

std::unique_ptr<Printer> MakeSimplePrinter(const PrintOptions& options, std::ostream& out) {
  return std::make_unique<SimplePrinter>(options, out);
}

}  // namespace keel::kvctl
