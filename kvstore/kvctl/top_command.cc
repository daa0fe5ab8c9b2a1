// top: the cluster as it is now, drawn again every few seconds.
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <iostream>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "kvstore/kvctl/session.h"
#include "kvstore/kvctl/top_view.h"

namespace keel::kvctl {
namespace {

using Clock = std::chrono::steady_clock;
using base::StrCat;

// Of one look; members that do not answer in time count as down.
constexpr base::Duration kAnswerLimit = std::chrono::seconds(1);
// A watch of all keys costs the server most when there are most writes: it ends here.
constexpr uint64_t kSampleEvents = 3000;
constexpr std::chrono::milliseconds kKeyPoll{50};

struct TopFlags {
  base::Duration interval = std::chrono::seconds(2);
  bool once = false;
  int depth = 2;
};

volatile std::sig_atomic_t interrupted = 0;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// Counts the writes of a watch by prefix until there are enough of them.
class Sampler {
 public:
  Sampler(kvstore::Client& client, int depth) : state_(std::make_shared<State>()) {
    const std::string all(1, '\0');
    watcher_ = client.Watch(
        all, {.range_end = all, .reconnect_timeout = kAnswerLimit},
        [state = state_, depth](etcdserverpb::WatchResponse& response) {
          std::lock_guard lock(state->mutex);
          if (state->sample.events >= kSampleEvents) return;
          for (const auto& event : response.events()) {
            ++state->sample.events;
            ++state->sample.by_prefix[PrefixOf(event.kv().key(), depth)];
          }
          if (state->sample.events >= kSampleEvents) state->end = Clock::now();
        },
        [state = state_](const kvstore::WatchEnd& end) {
          std::lock_guard lock(state->mutex);
          state->sample.error = ReasonOf(end.status);
        });
  }

  // Ends the watch once it has seen enough; called now and then.
  void Tick() {
    {
      std::lock_guard lock(state_->mutex);
      if (state_->sample.events < kSampleEvents) return;
    }
    watcher_.reset();
  }

  WriteSample Finish() {
    watcher_.reset();
    std::lock_guard lock(state_->mutex);
    if (state_->end == Clock::time_point()) state_->end = Clock::now();
    state_->sample.seconds = Seconds(state_->end - state_->start);
    return std::move(state_->sample);
  }

 private:
  struct State {
    std::mutex mutex;
    WriteSample sample;
    Clock::time_point start = Clock::now();
    Clock::time_point end;
  };
  std::shared_ptr<State> state_;
  std::unique_ptr<kvstore::Watcher> watcher_;
};

// Asks every member at once.
class Looker {
 public:
  explicit Looker(Session& session) : session_(session) {}

  Outcome Look(ClusterLook* look) {
    auto members =
        session_.client().Await(etcdserverpb::MemberListRequest(), {.timeout = kAnswerLimit});
    if (members.ok()) {
      members_ = *std::move(members);
    } else if (members_.members().empty()) {
      return FailWith(members.status());  // else those known from before are asked
    }
    look->at_seconds = Seconds(Clock::now().time_since_epoch());
    std::vector<std::future<MemberLook>> looks;
    for (const auto& member : members_.members()) {
      looks.push_back(std::async(std::launch::async, [this, member] { return LookAt(member); }));
    }
    for (auto& each : looks) look->members.push_back(each.get());
    return Success();
  }

 private:
  MemberLook LookAt(const etcdserverpb::Member& member) const {
    MemberLook look;
    look.id = member.id();
    look.name = member.name();
    look.learner = member.islearner();
    if (member.clienturls().empty()) return look;
    look.endpoint = member.clienturls(0);
    const auto start = Clock::now();
    const auto status = session_.client().Await(
        etcdserverpb::StatusRequest(), {.timeout = kAnswerLimit, .endpoint = look.endpoint});
    look.took = Clock::now() - start;
    if (!status.ok()) {
      look.error = ReasonOf(status.status());
      return look;
    }
    look.leader = status->leader();
    look.learner = status->islearner();
    look.term = status->raftterm();
    look.applied = status->raftappliedindex();
    look.revision = status->header().revision();
    look.db_bytes = status->dbsize();
    look.db_bytes_in_use = status->dbsizeinuse();
    look.version = status->version();
    look.alarms.assign(status->errors().begin(), status->errors().end());
    const auto text = FetchMetrics(look.endpoint, session_.Tls(), kAnswerLimit);
    if (text.ok()) look.metrics = ParseMetrics(*text);
    return look;
  }

  Session& session_;
  etcdserverpb::MemberListResponse members_;
};

// The whole screen, and keys as they are pressed; as it was when destroyed.
class Screen {
 public:
  Screen() : keys_(tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (keys_) {
      termios raw = before_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    Write("\x1b[?1049h\x1b[?25l");
  }
  ~Screen() {
    Write("\x1b[?25h\x1b[?1049l");
    if (keys_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

  // The key that is pressed meanwhile, 0 for none.
  char Wait(std::chrono::milliseconds limit) const {
    if (!keys_) {
      std::this_thread::sleep_for(limit);
      return 0;
    }
    pollfd input{STDIN_FILENO, POLLIN, 0};
    char key = 0;
    if (poll(&input, 1, static_cast<int>(limit.count())) > 0 && read(STDIN_FILENO, &key, 1) == 1) {
      return key;
    }
    return 0;
  }

  // Draws again when there is something new, or the window has another size.
  void Show(const TopView& view, bool is_new) {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
      size.ws_col = 80;
      size.ws_row = 24;
    }
    if (!is_new && size.ws_col == width_ && size.ws_row == height_) return;
    width_ = size.ws_col;
    height_ = size.ws_row;
    // The last line is ours; a line feed in it would scroll.
    std::string out = "\x1b[H";
    for (const char c : DrawTop(view, width_, height_ > 1 ? height_ - 1U : 1U)) {
      if (c == '\n') out += "\x1b[K";
      out += c;
    }
    Write(StrCat(out, "\x1b[Jq: quit"));
  }

 private:
  static void Write(std::string_view text) {
    std::cout.write(text.data(), static_cast<std::streamsize>(text.size()));
    std::cout.flush();
  }

  termios before_{};
  const bool keys_;
  unsigned width_ = 0;
  unsigned height_ = 0;
};

Outcome Top(Session& session, const TopFlags& flags) {
  const Format format = session.format();
  if (format != Format::kSimple && format != Format::kJson) {
    return Fail(kExitBadFeature, session.flags.write_out + " not supported as output format");
  }
  if (flags.interval < std::chrono::milliseconds(100)) {
    return Fail(kExitBadArgs, "--interval must be 100ms or more");
  }
  if (flags.depth < 1) return Fail(kExitBadArgs, "--depth must be 1 or more");
  const bool lines = flags.once || format == Format::kJson;
  if (!lines && isatty(STDOUT_FILENO) == 0) {
    return Fail(kExitBadFeature, "top needs a terminal; see --once and -w json");
  }
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;

  Looker looker(session);
  ClusterLook before;
  if (Outcome looked = looker.Look(&before); !looked.ok()) return looked;
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  std::unique_ptr<Screen> screen;
  if (!lines) screen = std::make_unique<Screen>();
  TopView view = Compare({}, before);
  view.hot_error = "counting";
  while (true) {
    if (screen != nullptr) screen->Show(view, true);
    Sampler sampler(session.client(), flags.depth);
    const auto next = Clock::now() + flags.interval;
    while (Clock::now() < next) {
      char key = 0;
      if (screen != nullptr) {
        key = screen->Wait(kKeyPoll);
        screen->Show(view, false);
      } else {
        std::this_thread::sleep_for(kKeyPoll);
      }
      if (key == 'q' || interrupted != 0) return Success();
      sampler.Tick();
    }
    ClusterLook now;
    now.writes = sampler.Finish();
    if (Outcome looked = looker.Look(&now); !looked.ok()) return looked;
    view = Compare(before, now);
    before = std::move(now);
    if (screen != nullptr) continue;
    if (format == Format::kJson) {
      std::cout << TopJson(view) << "\n" << std::flush;
    } else {
      std::cout << DrawTop(view, 1000, 60);
    }
    if (flags.once) return Success();
  }
}

}  // namespace

void AddTopVerb(CLI::App& app, Session& session) {
  CLI::App* verb = AddVerb(app, "top", "Shows members, rates, latencies and the keys written most",
                           "  kvctl --endpoints a:2379 top\n"
                           "  kvctl top --once -w json");
  auto flags = std::make_shared<TopFlags>();
  AddDuration(*verb, "--interval", flags->interval, "how often to look");
  verb->add_flag("--once", flags->once, "look twice, print once, and end");
  verb->add_option("--depth", flags->depth, "parts of a key, up to a /, that make a prefix");
  verb->callback(
      [&session, flags] { session.run = [&session, flags] { return Top(session, *flags); }; });
}

}  // namespace keel::kvctl
