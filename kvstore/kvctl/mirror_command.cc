// make-mirror: copies a prefix of one cluster into another, and follows it.
#include <iostream>
#include <memory>
#include <utility>

#include "base/strings.h"
#include "kvstore/client/requests.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

constexpr int64_t kPageKeys = 1000;
constexpr auto kReportEvery = std::chrono::seconds(30);

struct MirrorFlags {
  std::string prefix;
  std::string dest_prefix;
  bool no_dest_prefix = false;
  int max_txn_ops = 128;
  bool insecure = true;  // etcdctl's flag; there is no other way yet
};

class Mirror {
 public:
  Mirror(const MirrorFlags& flags, kvstore::Client& from, kvstore::Client& to)
      : flags_(flags),
        dest_prefix_(flags.no_dest_prefix || !flags.dest_prefix.empty() ? flags.dest_prefix
                                                                        : flags.prefix),
        from_(from),
        to_(to) {}

  // Returns only with an error.
  absl::Status Run() {
    int64_t revision = 0;
    if (absl::Status copied = CopyBase(&revision); !copied.ok()) return copied;
    return Follow(revision + 1);
  }

 private:
  std::string KeyThere(const std::string& key) const {
    return dest_prefix_ + key.substr(flags_.prefix.size());
  }
  std::string First() const { return flags_.prefix.empty() ? kvstore::kAllEnd : flags_.prefix; }
  std::string End() const { return kvstore::PrefixEnd(flags_.prefix); }

  // All keys as of one revision, page by page.
  absl::Status CopyBase(int64_t* revision) {
    std::string from = First();
    while (true) {
      const auto page =
          from_.Get(from, {.range_end = End(), .limit = kPageKeys, .revision = *revision});
      if (!page.ok()) return page.status();
      if (*revision == 0) *revision = page->header().revision();
      for (const auto& record : page->kvs()) {
        Add(kvstore::MakePut(KeyThere(record.key()), record.value()));
        if (absl::Status sent = SendIfFull(); !sent.ok()) return sent;
      }
      if (absl::Status sent = Send(); !sent.ok()) return sent;
      if (!page->more() || page->kvs().empty()) return absl::OkStatus();
      from = page->kvs(page->kvs_size() - 1).key() + '\0';
    }
  }

  // What changed in one revision there changes in one transaction here, as far as its size allows.
  absl::Status Follow(int64_t revision) {
    kvstore::WatchReader reader(from_, First(), {.range_end = End(), .start_revision = revision});
    while (true) {
      const auto response = reader.Next(kReportEvery);
      Report();
      if (absl::IsDeadlineExceeded(response.status())) continue;
      if (!response.ok()) return response.status();
      int64_t last = 0;
      for (const auto& event : response->events()) {
        absl::Status sent = last != 0 && event.kv().mod_revision() != last ? Send() : SendIfFull();
        if (!sent.ok()) return sent;
        last = event.kv().mod_revision();
        if (event.type() == mvccpb::Event::DELETE) {
          Add(kvstore::MakeDelete(KeyThere(event.kv().key())));
        } else {
          Add(kvstore::MakePut(KeyThere(event.kv().key()), event.kv().value()));
        }
      }
      if (absl::Status sent = Send(); !sent.ok()) return sent;
    }
  }

  template <typename Op>
  void Add(Op op) {
    txn_.Then(std::move(op));
    ++operations_;
  }
  absl::Status SendIfFull() {
    return operations_ >= flags_.max_txn_ops ? Send() : absl::OkStatus();
  }
  absl::Status Send() {
    if (operations_ == 0) return absl::OkStatus();
    const auto done = to_.Txn(txn_);
    if (!done.ok()) return done.status();
    total_ += operations_;
    operations_ = 0;
    txn_ = kvstore::TxnBuilder();
    return absl::OkStatus();
  }
  // As etcdctl: how many keys were sent, now and then.
  void Report() {
    const auto now = std::chrono::steady_clock::now();
    if (now - reported_ < kReportEvery) return;
    reported_ = now;
    std::cout << total_ << std::endl;
  }

  const MirrorFlags& flags_;
  const std::string dest_prefix_;
  kvstore::Client& from_;
  kvstore::Client& to_;
  kvstore::TxnBuilder txn_;
  int operations_ = 0;
  int64_t total_ = 0;
  std::chrono::steady_clock::time_point reported_ = std::chrono::steady_clock::now();
};

}  // namespace

void AddMirrorVerb(CLI::App& app, Session& session) {
  CLI::App* verb = AddVerb(app, "make-mirror", "Copies keys into another cluster, and follows them",
                           "  kvctl make-mirror 10.0.1.1:2379\n"
                           "  kvctl make-mirror --prefix app/ --dest-prefix copy/ 10.0.1.1:2379");
  auto flags = std::make_shared<MirrorFlags>();
  const Arguments arguments(verb, {"<destination>"});
  verb->add_option("--prefix", flags->prefix, "of the keys to copy (all)");
  verb->add_option("--dest-prefix", flags->dest_prefix, "takes the place of the prefix there");
  verb->add_flag("--no-dest-prefix", flags->no_dest_prefix, "drop the prefix there");
  verb->add_option("--max-txn-ops", flags->max_txn_ops, "operations in one transaction (128)");
  verb->add_flag("--dest-insecure-transport", flags->insecure, "without TLS, as is so anyway");
  verb->callback([&session, flags, arguments] {
    session.run = [&session, flags, arguments] {
      const auto given = arguments.Get();
      if (given.size() != 1) {
        return Fail(kExitBadArgs, "make-mirror takes one destination argument");
      }
      if (flags->no_dest_prefix && !flags->dest_prefix.empty()) {
        return Fail(
            kExitBadArgs,
            "`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one");
      }
      if (flags->max_txn_ops < 1) return Fail(kExitBadArgs, "--max-txn-ops must be more than 0");
      if (Outcome connected = session.Connect(); !connected.ok()) return connected;
      kvstore::ClientOptions options;
      options.endpoints = {given[0]};
      options.dial_timeout = session.flags.dial_timeout;
      options.request_timeout = session.flags.command_timeout;
      auto destination = kvstore::Client::Create(std::move(options));
      if (!destination.ok()) return FailWith(destination.status());
      return FailWith(Mirror(*flags, session.client(), **destination).Run());
    };
  });
}

}  // namespace keel::kvctl
