#include "tests/sim/campaign.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <sstream>

#include "absl/strings/str_format.h"
#include "base/check.h"

namespace keel::sim {

namespace {

// A seed that takes longer in real time hangs.
constexpr int kSeedSecondsMax = 120;
constexpr size_t kLastWords = 2000;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A result on its way through a pipe: lines of "name value".
std::string Encode(const RunResult& result) {
  std::ostringstream out;
  out << "hash " << result.hash << "\nevents " << result.events << "\ntime " << result.virtual_time
      << '\n';
  for (const Fault& fault : result.plan) out << "fault " << fault.number << '\n';
  for (const auto& [name, count] : result.counters) out << "count " << count << ' ' << name << '\n';
  if (result.failed) {
    std::string text = result.failure.text;
    std::replace(text.begin(), text.end(), '\n', ' ');
    out << "rule " << result.failure.rule << "\ntext " << text << '\n';
  }
  out << "end\n";
  return out.str();
}

ChildResult Decode(const std::string& bytes, int status, const std::string& said) {
  ChildResult result;
  std::istringstream in(bytes);
  bool ended = false;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "hash") words >> result.hash;
    if (key == "events") words >> result.events;
    if (key == "time") words >> result.virtual_time;
    if (key == "fault") {
      uint32_t number = 0;
      words >> number;
      result.plan.push_back(number);
    }
    if (key == "count") {
      uint64_t count = 0;
      words >> count;
      std::string name;
      std::getline(words >> std::ws, name);
      result.counters[name] = count;
    }
    if (key == "rule") std::getline(words >> std::ws, result.rule);
    if (key == "text") std::getline(words >> std::ws, result.text);
    if (key == "end") ended = true;
  }
  result.failed = !result.rule.empty();
  if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    result.failed = true;
    result.rule = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "hang" : "crash";
    result.text = said;
  }
  return result;
}

struct Child {
  pid_t pid = 0;
  int out = -1;  // results
  int err = -1;  // its standard error
  uint64_t seed = 0;
  std::string bytes;
  std::string said;
};

Child Spawn(const RunOptions& options) {
  int out[2], err[2];
  KEEL_CHECK(pipe(out) == 0 && pipe(err) == 0);
  fflush(nullptr);
  const pid_t pid = fork();
  KEEL_CHECK(pid >= 0);
  if (pid == 0) {
    close(out[0]);
    close(err[0]);
    dup2(err[1], STDERR_FILENO);
    alarm(kSeedSecondsMax);
    const std::string bytes = Encode(Run(options));
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t written = write(out[1], bytes.data() + at, bytes.size() - at);
      if (written <= 0) _exit(2);
      at += static_cast<size_t>(written);
    }
    _exit(0);
  }
  close(out[1]);
  close(err[1]);
  return {.pid = pid, .out = out[0], .err = err[0], .seed = options.seed};
}

// Reads what there is; true when the child has closed its end.
bool Drain(int fd, std::string* to, size_t keep) {
  char buffer[65536];
  const ssize_t got = read(fd, buffer, sizeof(buffer));
  if (got <= 0) return true;
  to->append(buffer, static_cast<size_t>(got));
  if (to->size() > keep) to->erase(0, to->size() - keep);
  return false;
}

// Waits until one of the children has ended, and takes it out. At most a second.
std::optional<std::pair<uint64_t, ChildResult>> Reap(std::vector<Child>* children) {
  std::vector<pollfd> fds;
  for (const Child& child : *children) {
    fds.push_back({child.out, POLLIN, 0});
    fds.push_back({child.err, POLLIN, 0});
  }
  if (poll(fds.data(), fds.size(), 1000) <= 0) return std::nullopt;
  for (size_t i = 0; i < children->size(); ++i) {
    Child& child = (*children)[i];
    if (fds[2 * i + 1].revents != 0 && child.err >= 0 &&
        Drain(child.err, &child.said, kLastWords)) {
      close(child.err);
      child.err = -1;
    }
    if (fds[2 * i].revents == 0 || !Drain(child.out, &child.bytes, SIZE_MAX)) continue;
    while (child.err >= 0 && !Drain(child.err, &child.said, kLastWords)) {
    }
    close(child.out);
    if (child.err >= 0) close(child.err);
    int status = 0;
    KEEL_CHECK(waitpid(child.pid, &status, 0) == child.pid);
    auto result = std::pair(child.seed, Decode(child.bytes, status, child.said));
    children->erase(children->begin() + static_cast<ptrdiff_t>(i));
    return result;
  }
  return std::nullopt;
}

// Which faults the failure needs: halves first, then one by one (delta debugging,
// Zeller and Hildebrandt, 2002, in its simplest form).
SeedFailure Shrink(const RunOptions& options, const ChildResult& first) {
  SeedFailure failure{.seed = options.seed, .rule = first.rule, .text = first.text};
  std::vector<uint32_t> plan = first.plan;
  if (plan.empty() && first.rule == "crash") {  // It did not live to tell its plan.
    for (uint32_t number = 1; number <= 200; ++number) plan.push_back(number);
  }
  const double give_up = Now() + 60;
  for (size_t step = std::max<size_t>(1, plan.size() / 2); !plan.empty();) {
    bool smaller = false;
    for (size_t at = 0; at < plan.size() && Now() < give_up;) {
      std::vector<uint32_t> rest = plan;
      const size_t count = std::min(step, rest.size() - at);
      rest.erase(rest.begin() + static_cast<ptrdiff_t>(at),
                 rest.begin() + static_cast<ptrdiff_t>(at + count));
      RunOptions less = options;
      less.only = std::set<uint32_t>(rest.begin(), rest.end());
      const ChildResult result = RunInChild(less);
      if (result.failed && result.rule == first.rule) {
        plan = std::move(rest);
        failure.text = result.text;
        smaller = true;
      } else {
        at += count;
      }
    }
    if (Now() >= give_up || (step == 1 && !smaller)) break;
    step = std::max<size_t>(1, step / 2);
  }
  failure.only = std::set<uint32_t>(plan.begin(), plan.end());
  return failure;
}

void PrintProgress(const CampaignOptions& options, const CampaignResult& result, size_t failed,
                   double seconds) {
  uint64_t faults = 0;
  for (size_t i = 0; i < static_cast<size_t>(FaultKind::kCount); ++i) {
    const auto it = result.counters.find(Name(static_cast<FaultKind>(i)));
    if (it != result.counters.end()) faults += it->second;
  }
  absl::FPrintF(stderr,
                "%d of %d seeds, %.1f seeds/s, %.2f simulated hours, %d faults, %d operations, "
                "%d failures\n",
                result.seeds, options.seeds, static_cast<double>(result.seeds) / seconds,
                result.simulated_seconds / 3600, faults,
                result.counters.contains("operations") ? result.counters.at("operations") : 0,
                failed);
}

}  // namespace

ChildResult RunInChild(const RunOptions& options) {
  std::vector<Child> children;
  children.push_back(Spawn(options));
  while (true) {
    if (auto result = Reap(&children)) return std::move(result->second);
  }
}

CampaignResult RunCampaign(const CampaignOptions& options) {
  CampaignResult result;
  const double start = Now();
  double printed = start;
  std::vector<Child> children;
  uint64_t next = options.from;
  const uint64_t end = options.from + options.seeds;
  std::vector<std::pair<RunOptions, ChildResult>> failed;
  while (true) {
    while (next < end && children.size() < static_cast<size_t>(options.jobs) &&
           failed.size() < options.failures_max) {
      RunOptions run = options.run;
      run.seed = next++;
      children.push_back(Spawn(run));
    }
    if (children.empty()) break;
    if (auto reaped = Reap(&children)) {
      auto& [seed, one] = *reaped;
      ++result.seeds;
      result.events += one.events;
      result.simulated_seconds += static_cast<double>(one.virtual_time) / kSecond;
      result.hash ^= one.hash * 0x9e3779b97f4a7c15ull;  // in whatever order they end
      for (const auto& [name, count] : one.counters) result.counters[name] += count;
      if (one.failed) {
        RunOptions run = options.run;
        run.seed = seed;
        absl::FPrintF(stderr, "seed %d: %s: %s\n", seed, one.rule, one.text);
        failed.emplace_back(run, std::move(one));
      }
    }
    if (options.progress && Now() - printed >= 5) {
      printed = Now();
      PrintProgress(options, result, failed.size(), printed - start);
    }
  }
  result.seconds = Now() - start;
  if (options.progress) PrintProgress(options, result, failed.size(), result.seconds);
  for (const auto& [run, one] : failed) {
    SeedFailure failure{.seed = run.seed, .rule = one.rule, .text = one.text};
    if (options.shrink) failure = Shrink(run, one);
    absl::FPrintF(stderr, "\nFAILED seed %d: %s\n  %s\n  %s\n", failure.seed, failure.rule,
                  failure.text, ReplayCommand(run, run.seed, failure.only));
    result.failures.push_back(std::move(failure));
  }
  return result;
}

std::string ReplayCommand(const RunOptions& options, uint64_t seed,
                          const std::optional<std::set<uint32_t>>& only) {
  std::string out = absl::StrFormat("keel-sim --seed %d", seed);
  const RunOptions usual;
  if (options.stack != usual.stack) {
    out += options.stack == Stack::kKv ? " --stack kv" : " --stack hosts";
  }
  if (options.length != usual.length) {
    absl::StrAppendFormat(&out, " --length %g", static_cast<double>(options.length) / kSecond);
  }
  if (only) {
    std::string numbers;
    for (const uint32_t number : *only) {
      absl::StrAppendFormat(&numbers, "%s%d", numbers.empty() ? "" : ",", number);
    }
    out += " --only " + (numbers.empty() ? "none" : numbers);
  }
  return out + " --trace";
}

std::string ToJson(const CampaignOptions& options, const CampaignResult& result) {
  std::string out = absl::StrFormat(
      "{\n  \"from\": %d,\n  \"seeds\": %d,\n  \"jobs\": %d,\n  \"seconds\": %.1f,\n"
      "  \"seeds_per_second\": %.2f,\n  \"simulated_hours\": %.3f,\n  \"events\": %d,\n"
      "  \"hash\": \"%016x\",\n  \"counters\": {",
      options.from, result.seeds, options.jobs, result.seconds,
      static_cast<double>(result.seeds) / std::max(result.seconds, 1e-9),
      result.simulated_seconds / 3600, result.events, result.hash);
  const char* comma = "";
  for (const auto& [name, count] : result.counters) {
    absl::StrAppendFormat(&out, "%s\n    \"%s\": %d", comma, name, count);
    comma = ",";
  }
  out += "\n  },\n  \"failures\": [";
  comma = "";
  for (const SeedFailure& failure : result.failures) {
    absl::StrAppendFormat(&out, "%s\n    {\"seed\": %d, \"rule\": \"%s\"}", comma, failure.seed,
                          failure.rule);
    comma = ",";
  }
  return out + "\n  ]\n}\n";
}

}  // namespace keel::sim
