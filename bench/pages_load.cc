#include "bench/pages_load.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "bench/connect.h"
#include "kvstore/apply/wire.h"

namespace keel::bench {
namespace {

constexpr base::Duration kPauseAfterError = std::chrono::milliseconds(10);

using kvstore::WireReader;
using kvstore::WireType;

// What of an answer the next page needs. Key-values are read where they lie: a copy of each
// would cost more than all else that is measured here.
struct Page {
  int64_t revision = 0;
  int64_t keys = 0;
  std::string_view last_key;
  bool more = false;
};

bool ReadKeyValue(std::string_view bytes, std::string_view* key) {
  *key = {};
  WireReader fields(bytes);
  while (fields.Next()) {
    if (fields.Is(mvccpb::KeyValue::kKeyFieldNumber, WireType::kBytes)) *key = fields.bytes();
  }
  return fields.ok() && !key->empty();
}

bool ReadPage(std::string_view bytes, Page* page) {
  using etcdserverpb::RangeResponse;
  WireReader fields(bytes);
  while (fields.Next()) {
    if (fields.Is(RangeResponse::kKvsFieldNumber, WireType::kBytes)) {
      if (!ReadKeyValue(fields.bytes(), &page->last_key)) return false;
      ++page->keys;
    } else if (fields.Is(RangeResponse::kMoreFieldNumber, WireType::kVarint)) {
      page->more = fields.varint() != 0;
    } else if (fields.Is(RangeResponse::kHeaderFieldNumber, WireType::kBytes)) {
      etcdserverpb::ResponseHeader header;
      if (!header.ParseFromArray(fields.bytes().data(), static_cast<int>(fields.bytes().size()))) {
        return false;
      }
      page->revision = header.revision();
    }
  }
  return fields.ok();
}

}  // namespace

PagesLoad::PagesLoad(Run& run, int thread) : run_(run), loop_(base::StrCat("pages-", thread)) {
  channels_ = MakeChannels(run.options, thread, loop_);
  for (int s = 0; s < run.options.streams; ++s) {
    for (auto& channel : channels_) clients_.push_back({channel.get()});
  }
}

PagesLoad::~PagesLoad() { Stop(); }

absl::Status PagesLoad::Prepare() {
  loop_.Start();
  return Connect(channels_, loop_, run_.options.timeout);
}

void PagesLoad::Start() {
  loop_.Post([this] {
    for (Client& client : clients_) StartList(client);
  });
}

void PagesLoad::StartList(Client& client) {
  if (!run_.TakeOne()) return;
  const Options& options = run_.options;
  client.start_ns = NowNs();
  client.left = options.range_keys;
  client.request.Clear();
  client.request.set_key(options.prefix);
  client.request.set_range_end(EndOfPrefix(options.prefix));
  client.request.set_serializable(options.serializable);
  Ask(client);
}

void PagesLoad::Ask(Client& client) {
  client.request.set_limit(std::min<int64_t>(client.left, run_.options.page_keys));
  client.channel->Call("/etcdserverpb.KV/Range", client.request.SerializeAsString(),
                       {.deadline = loop_.Now() + run_.options.timeout},
                       [this, c = &client](absl::StatusOr<std::string> response) {
                         Answered(*c, std::move(response));
                       });
}

void PagesLoad::Answered(Client& client, absl::StatusOr<std::string> response) {
  if (!response.ok()) return Done(client, response.status());
  Page page;
  if (!ReadPage(*response, &page)) {
    return Done(client, absl::InternalError("malformed range response"));
  }
  client.left -= page.keys;
  if (client.left <= 0) return Done(client, absl::OkStatus());
  if (!page.more || page.keys == 0) {
    return Done(client, absl::NotFoundError(base::StrCat("the list ended ", client.left,
                                                         " keys early: fill more of them")));
  }
  client.request.set_revision(page.revision);
  client.request.set_key(std::string(page.last_key) + '\0');
  Ask(client);
}

void PagesLoad::Done(Client& client, const absl::Status& status) {
  const int64_t now = NowNs();
  if (run_.Counts(now)) {
    if (status.ok()) {
      found_.latency_ns.Record(now - client.start_ns);
    } else if (!run_.stop.load(std::memory_order_relaxed)) {
      found_.Error(status);
    }
  }
  // Last: the run may be over with it.
  if (run_.options.total != 0) run_.completed.fetch_add(1, std::memory_order_release);
  if (status.ok()) return StartList(client);
  if (run_.stop.load(std::memory_order_relaxed)) return;
  loop_.After(kPauseAfterError, [this, c = &client] { StartList(*c); });
}

void PagesLoad::Stop() {
  if (channels_.empty()) return;
  for (auto& channel : channels_) channel->Close();
  loop_.Stop();
  channels_.clear();
}

}  // namespace keel::bench
