#include "kvstore/kvctl/printer.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/table.h"

namespace keel::kvctl {
namespace {

// The message as it came over the wire.
class ProtobufPrinter final : public Printer {
 public:
  using Printer::Printer;

 protected:
  void Other(const google::protobuf::Message& response) override {
    out_ << response.SerializeAsString();
  }
};

class TablePrinter final : public Printer {
 public:
  using Printer::Printer;

  void MemberList(const etcdserverpb::MemberListResponse& response) override {
    std::vector<Row> rows;
    for (const auto& member : response.members()) rows.push_back(MemberCells(member));
    out_ << DrawTable({"ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"}, rows);
  }
  void Status(const std::vector<EndpointStatus>& all) override {
    std::vector<Row> rows;
    for (const auto& one : all) rows.push_back(StatusCells(one));
    out_ << DrawTable({"endpoint", "ID", "version", "db size", "is leader", "is learner",
                       "raft term", "raft index", "raft applied index", "errors"},
                      rows);
  }
  void Health(const std::vector<EndpointHealth>& all) override {
    std::vector<Row> rows;
    for (const auto& one : all) {
      rows.push_back({one.endpoint, one.error.empty() ? "true" : "false", FormatDuration(one.took),
                      one.error});
    }
    out_ << DrawTable({"endpoint", "health", "took", "error"}, rows);
  }
  void HashKV(const std::vector<EndpointHashKV>& all) override {
    std::vector<Row> rows;
    for (const auto& one : all) rows.push_back({one.endpoint, absl::StrCat(one.hash.hash())});
    out_ << DrawTable({"endpoint", "hash"}, rows);
  }
};

}  // namespace

absl::StatusOr<Format> ParseFormat(const std::string& name) {
  if (name == "simple") return Format::kSimple;
  if (name == "fields") return Format::kFields;
  if (name == "json") return Format::kJson;
  if (name == "table") return Format::kTable;
  if (name == "protobuf") return Format::kProtobuf;
  return absl::InvalidArgumentError("unsupported output format");
}

std::unique_ptr<Printer> MakePrinter(Format format, const PrintOptions& options,
                                     std::ostream& out) {
  switch (format) {
    case Format::kSimple:
      return MakeSimplePrinter(options, out);
    case Format::kFields:
      return MakeFieldsPrinter(options, out);
    case Format::kJson:
      return MakeJsonPrinter(out);
    case Format::kTable:
      return MakeTablePrinter(out);
    case Format::kProtobuf:
      return std::make_unique<ProtobufPrinter>(out);
  }
  return nullptr;
}

std::unique_ptr<Printer> MakeTablePrinter(std::ostream& out) {
  return std::make_unique<TablePrinter>(out);
}

std::vector<std::string> MemberCells(const etcdserverpb::Member& member) {
  return {absl::StrFormat("%x", member.id()),
          member.name().empty() ? "unstarted" : "started",
          member.name(),
          absl::StrJoin(member.peerurls(), ","),
          absl::StrJoin(member.clienturls(), ","),
          member.islearner() ? "true" : "false"};
}

std::vector<std::string> StatusCells(const EndpointStatus& one) {
  const auto& s = one.status;
  return {one.endpoint,
          absl::StrFormat("%x", s.header().member_id()),
          s.version(),
          FormatBytes(static_cast<uint64_t>(s.dbsize())),
          s.leader() == s.header().member_id() ? "true" : "false",
          s.islearner() ? "true" : "false",
          absl::StrCat(s.raftterm()),
          absl::StrCat(s.raftindex()),
          absl::StrCat(s.raftappliedindex()),
          absl::StrJoin(s.errors(), ", ")};
}

}  // namespace keel::kvctl
