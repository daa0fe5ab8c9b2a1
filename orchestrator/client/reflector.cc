#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "orchestrator/client/informer.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

constexpr base::Duration kFirstBackoff = std::chrono::milliseconds(200);
constexpr base::Duration kLongestBackoff = std::chrono::seconds(10);
// A watch that ended sooner than this is not asked for again at once.
constexpr base::Duration kShortWatch = std::chrono::seconds(1);

class ReflectorImpl final : public Reflector, public std::enable_shared_from_this<ReflectorImpl> {
 public:
  ReflectorImpl(ApiClient& client, Resource resource, InformerOptions options, Sink& sink)
      : client_(client),
        resource_(std::move(resource)),
        options_(std::move(options)),
        sink_(sink),
        random_(std::random_device()()) {}

  void List() { NextPage("", true); }
  void Stop() {
    stopped_ = true;
    watch_.reset();
    client_.loop().Cancel(std::exchange(timer_, 0));
  }

 private:
  std::string Selectors() const {
    std::string query;
    if (!options_.label_selector.empty()) {
      query += StrCat("&labelSelector=", QueryEscape(options_.label_selector));
    }
    if (!options_.field_selector.empty()) {
      query += StrCat("&fieldSelector=", QueryEscape(options_.field_selector));
    }
    return query;
  }

  void NextPage(const std::string& token, bool first) {
    std::string path = StrCat(resource_.Path(options_.ns), "?limit=", options_.page_size);
    if (!token.empty()) {
      path += StrCat("&continue=", QueryEscape(token));
    } else if (!newest_) {
      path += "&resourceVersion=0";
    }
    path += Selectors();
    client_.Call("GET", std::move(path), {}, {},
                 [weak = weak_from_this(), first](absl::StatusOr<json::value> page) {
                   if (auto self = weak.lock(); self != nullptr && !self->stopped_) {
                     self->OnPage(std::move(page), first);
                   }
                 });
  }

  void OnPage(absl::StatusOr<json::value> page, bool first) {
    if (!page.ok()) {
      Complain("list", page.status());
      // A server that does not have the kind (yet) has no objects of it.
      if (first && IsReason(page.status(), "NotFound")) {
        sink_.ListBegins();
        sink_.ListEnds();
        if (stopped_) return;
        backoff_ = kLongestBackoff;
      }
      if (IsReason(page.status(), "Expired")) newest_ = true;
      return Later([this] { List(); });
    }
    if (first) sink_.ListBegins();
    for (const json::value& item : ArrayAt(*page, {"items"})) {
      if (const json::object* object = item.if_object()) sink_.Listed(*object);
      if (stopped_) return;
    }
    const std::string token(StringAt(*page, {"metadata", "continue"}));
    version_ = StringAt(*page, {"metadata", "resourceVersion"});
    *page = nullptr;  // before the next is read
    if (!token.empty()) return NextPage(token, false);
    backoff_ = kFirstBackoff;
    newest_ = false;
    sink_.ListEnds();
    if (!stopped_) Watch();
  }

  void Watch() {
    began_ = client_.loop().Now();
    const int seconds = std::uniform_int_distribution<int>(300, 600)(random_);
    std::string path = StrCat(resource_.Path(options_.ns),
                              "?watch=1&allowWatchBookmarks=true&resourceVersion=", version_,
                              "&timeoutSeconds=", seconds, Selectors());
    watch_ = client_.Watch(
        std::move(path),
        // The handle, which is ours, ends with us; what an event calls may still stop us.
        [this](const WatchEvent& event) { OnEvent(event); },
        [weak = weak_from_this()](const absl::Status& status) {
          if (auto self = weak.lock(); self != nullptr && !self->stopped_) self->OnEnd(status);
        });
  }

  void OnEvent(const WatchEvent& event) {
    absl::StatusOr<json::value> parsed = ParseJson(event.object);
    const json::object* object = parsed.ok() ? parsed->if_object() : nullptr;
    if (object == nullptr) {
      base::Log().warn("watch of {}: an event without an object", resource_.plural);
      return;
    }
    const std::string_view version = StringAt(*object, {"metadata", "resourceVersion"});
    if (!version.empty()) version_ = version;
    if (event.type == "BOOKMARK") return;
    sink_.Changed(*object, event.type == "DELETED");
  }

  void OnEnd(const absl::Status& status) {
    const bool was_short = client_.loop().Now() - began_ < kShortWatch;
    if (!was_short) backoff_ = kFirstBackoff;
    if (!status.ok() && (IsReason(status, "Expired") || IsReason(status, "Gone"))) {
      base::Log().info("watch of {}: history is gone, listing again", resource_.plural);
      newest_ = true;
      if (was_short) return Later([this] { List(); });
      return List();
    }
    if (status.ok() && !was_short) return Watch();
    if (!status.ok()) Complain("watch", status);
    Later([this] { Watch(); });
  }

  void Later(std::function<void()> then) {
    const int64_t half = backoff_.count() / 2;
    const base::Duration delay(half + std::uniform_int_distribution<int64_t>(0, half)(random_));
    backoff_ = std::min(backoff_ * 2, kLongestBackoff);
    timer_ = client_.loop().After(delay, [weak = weak_from_this(), then = std::move(then)] {
      auto self = weak.lock();
      if (self == nullptr || self->stopped_) return;
      self->timer_ = 0;
      then();
    });
  }

  void Complain(const char* what, const absl::Status& status) {
    base::Log().warn("cannot {} {}: {}", what, resource_.plural, base::ToStd(status.message()));
  }

  ApiClient& client_;
  const Resource resource_;
  const InformerOptions options_;
  Sink& sink_;
  std::minstd_rand random_;
  bool stopped_ = false;
  bool newest_ = false;  // the next list must not be an old one
  std::string version_;
  base::Duration backoff_ = kFirstBackoff;
  base::TimePoint began_{};
  base::TimerId timer_ = 0;
  std::unique_ptr<ApiClient::WatchHandle> watch_;
};

// What the user holds; the rest may be on the stack while it goes.
class Owner final : public Reflector {
 public:
  explicit Owner(std::shared_ptr<ReflectorImpl> impl) : impl_(std::move(impl)) {}
  ~Owner() override { impl_->Stop(); }

 private:
  const std::shared_ptr<ReflectorImpl> impl_;
};

}  // namespace

ObjectKey KeyOf(const json::object& object) {
  return {std::string(StringAt(object, {"metadata", "namespace"})),
          std::string(StringAt(object, {"metadata", "name"}))};
}

uint64_t VersionOf(const json::object& object) {
  const std::string_view text = StringAt(object, {"metadata", "resourceVersion"});
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  return error == std::errc() && end == text.data() + text.size() ? version : 0;
}

std::unique_ptr<Reflector> Reflector::Start(ApiClient& client, Resource resource,
                                            InformerOptions options, Sink& sink) {
  auto impl =
      std::make_shared<ReflectorImpl>(client, std::move(resource), std::move(options), sink);
  impl->List();
  return std::make_unique<Owner>(std::move(impl));
}

}  // namespace keel::orchestrator
