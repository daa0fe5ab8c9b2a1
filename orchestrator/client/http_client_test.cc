// The client over real sockets, against servers that answer what a test says.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "base/asio_loop.h"
#include "base/strings.h"
#include "base/temp_dir.h"
#include "orchestrator/client/api_client.h"
#include "orchestrator/client/watch_lines.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Ok(std::string_view body) {
  return StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}

// One connection at a time; `answer` gets the whole request and says what is sent back. "CLOSE" at
// the end of an answer closes the connection.
class TestServer {
 public:
  explicit TestServer(std::function<std::string(const std::string&)> answer)
      : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~TestServer() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  std::string url() const { return StrCat("http://127.0.0.1:", port_); }
  int connections() const { return connections_; }

 private:
  bool Wait(int fd) {
    while (!stop_) {
      pollfd poll_fd{fd, POLLIN, 0};
      if (::poll(&poll_fd, 1, 20) > 0) return true;
    }
    return false;
  }
  void Run() {
    while (Wait(listener_)) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      ++connections_;
      std::string request;
      while (Wait(fd)) {
        char buffer[4096];
        const ssize_t n = ::recv(fd, buffer, sizeof(buffer), 0);
        if (n <= 0) break;
        request.append(buffer, static_cast<size_t>(n));
        const size_t head = request.find("\r\n\r\n");
        if (head == std::string::npos) continue;
        size_t body = 0;
        if (const size_t at = request.find("Content-Length: "); at < head) {
          body = std::strtoull(request.c_str() + at + 16, nullptr, 10);
        }
        if (request.size() < head + 4 + body) continue;
        std::string answer = answer_(request);
        request.clear();
        const bool close = answer.ends_with("CLOSE");
        if (close) answer.resize(answer.size() - 5);
        // In small pieces: whoever reads must put them together.
        for (size_t i = 0; i < answer.size(); i += 7) {
          ::send(fd, answer.data() + i, std::min<size_t>(7, answer.size() - i), MSG_NOSIGNAL);
        }
        if (close) break;
      }
      ::close(fd);
    }
  }

  const std::function<std::string(const std::string&)> answer_;
  const int listener_;
  uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class HttpClientTest : public testing::Test {
 protected:
  void SetUp() override { loop.Start(); }
  void TearDown() override {
    OnLoop([this] { client.reset(); });
    loop.Stop();
  }
  void OnLoop(std::function<void()> task) {
    std::promise<void> done;
    loop.Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  void Connect(ClientConfig config) {
    config.max_connections = 2;
    OnLoop([&] { client = ApiClient::Create(loop, config).value(); });
  }
  absl::StatusOr<json::value> Ask(const std::string& method, const std::string& path,
                                  const std::string& body = "") {
    std::promise<absl::StatusOr<json::value>> got;
    loop.Post([&] {
      client->Call(method, path, body.empty() ? "" : "application/json", body,
                   [&](absl::StatusOr<json::value> answer) { got.set_value(std::move(answer)); });
    });
    return got.get_future().get();
  }

  base::AsioLoop loop{"client"};
  std::unique_ptr<ApiClient> client;
};

TEST_F(HttpClientTest, AsksOverOneKeptConnection) {
  std::string seen;
  TestServer server([&](const std::string& request) {
    seen = request;
    return Ok(R"({"a":1})");
  });
  Connect({.servers = {server.url()}, .token = "secret"});
  for (int i = 0; i < 3; ++i) {
    const auto got = Ask("POST", "/api/v1/pods", R"({"x":"y"})");
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(IntAt(*got, {"a"}), 1);
  }
  EXPECT_EQ(server.connections(), 1);
  EXPECT_THAT(seen, testing::StartsWith("POST /api/v1/pods HTTP/1.1\r\n"));
  EXPECT_THAT(seen, HasSubstr("Authorization: Bearer secret\r\n"));
  EXPECT_THAT(seen, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(seen, testing::EndsWith("\r\n\r\n{\"x\":\"y\"}"));
}

TEST_F(HttpClientTest, AnErrorKeepsItsReason) {
  TestServer server([](const std::string&) {
    const std::string body = ToJson(ApiErrorOf(NotFound("pods", "web")).ToJson());
    return StrCat("HTTP/1.1 404 Not Found\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
  });
  Connect({.servers = {server.url()}});
  const auto got = Ask("GET", "/api/v1/pods/web");
  EXPECT_TRUE(IsReason(got.status(), "NotFound")) << got.status();
  EXPECT_EQ(got.status().message(), "pods \"web\" not found");
}

TEST_F(HttpClientTest, ReadsAreRepeatedWhenAConnectionDiesWritesAreNot) {
  std::atomic<int> requests{0};
  TestServer server(
      [&](const std::string&) { return ++requests % 2 == 1 ? std::string("CLOSE") : Ok("{}"); });
  Connect({.servers = {server.url()}});
  EXPECT_TRUE(Ask("GET", "/x").ok());
  EXPECT_EQ(requests, 2);
  const auto got = Ask("POST", "/x", "{}");
  EXPECT_TRUE(IsReason(got.status(), "ServiceUnavailable")) << got.status();
  EXPECT_EQ(requests, 3);
}

TEST_F(HttpClientTest, ASecondServerTakesOver) {
  std::string dead;
  {
    dead = TestServer([](const std::string&) { return Ok("{}"); }).url();
  }
  TestServer alive([](const std::string&) { return Ok(R"({"here":true})"); });
  Connect({.servers = {dead, alive.url()}});
  // Writes too: nothing was sent to the one that is not there.
  const auto got = Ask("POST", "/x", "{}");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(BoolAt(*got, {"here"}));
  Connect({.servers = {dead}});
  EXPECT_TRUE(IsReason(Ask("GET", "/x").status(), "ServiceUnavailable"));
}

TEST_F(HttpClientTest, AServerThatSaysNothingTimesOut) {
  TestServer server([](const std::string&) { return std::string(); });
  Connect({.servers = {server.url()}, .timeout = std::chrono::milliseconds(100)});
  EXPECT_TRUE(IsReason(Ask("GET", "/x").status(), "Timeout"));
}

TEST_F(HttpClientTest, WhatIsNoHttpIsAnError) {
  TestServer server([](const std::string&) { return std::string("HELLO\r\n\r\nCLOSE"); });
  Connect({.servers = {server.url()}});
  EXPECT_FALSE(Ask("POST", "/x", "{}").ok());
}

class WatchTest : public HttpClientTest {
 protected:
  void Watch(const std::string& path = "/w") {
    OnLoop([&, path] {
      handle = client->Watch(
          path,
          [this](const WatchEvent& event) {
            std::lock_guard lock(mu);
            events.push_back(StrCat(event.type, " ", event.object));
            if (cancel_at_first) handle.reset();
          },
          [this](absl::Status status) { ended.set_value(std::move(status)); });
    });
  }
  void TearDown() override {
    OnLoop([this] { handle.reset(); });
    HttpClientTest::TearDown();
  }
  std::mutex mu;
  std::vector<std::string> events;
  std::promise<absl::Status> ended;
  std::unique_ptr<ApiClient::WatchHandle> handle;
  bool cancel_at_first = false;
};

std::string Chunked(const std::vector<std::string>& chunks) {
  std::string all = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& chunk : chunks) {
    absl::StrAppend(&all, absl::Hex(chunk.size()), "\r\n", chunk, "\r\n");
  }
  return all;
}

TEST_F(WatchTest, ChunksAreCutIntoEvents) {
  TestServer server([](const std::string&) {
    return Chunked({"{\"type\":\"ADDED\",\"object\":{\"n\":1}}\n{\"type\":\"MOD",
                    "IFIED\",\"object\":{\"n\":{\"m\":2}}}\n",
                    "{\"object\":{\"n\":3},\"type\":\"DELETED\"}\n"}) +
           "0\r\n\r\n";
  });
  Connect({.servers = {server.url()}});
  Watch();
  EXPECT_TRUE(ended.get_future().get().ok());
  EXPECT_THAT(events,
              ElementsAre(R"(ADDED {"n":1})", R"(MODIFIED {"n":{"m":2}})", R"(DELETED {"n":3})"));
}

TEST_F(WatchTest, AnErrorEventEndsItWithItsReason) {
  TestServer server([](const std::string&) {
    return Chunked(
        {StrCat(R"({"type":"ERROR","object":)",
                ToJson(ApiErrorOf(Expired("too old resource version")).ToJson()), "}\n")});
  });
  Connect({.servers = {server.url()}});
  Watch();
  EXPECT_TRUE(IsReason(ended.get_future().get(), "Expired"));
}

TEST_F(WatchTest, ARefusalEndsItWithItsReason) {
  TestServer server([](const std::string&) {
    const std::string body = ToJson(ApiErrorOf(Expired("too old resource version")).ToJson());
    return StrCat("HTTP/1.1 410 Gone\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
  });
  Connect({.servers = {server.url()}});
  Watch();
  EXPECT_TRUE(IsReason(ended.get_future().get(), "Expired"));
}

TEST_F(WatchTest, ABrokenConnectionIsAnError) {
  TestServer server([](const std::string&) {
    return Chunked({"{\"type\":\"ADDED\",\"object\":{}}\n"}) + "CLOSE";
  });
  Connect({.servers = {server.url()}});
  Watch();
  EXPECT_FALSE(ended.get_future().get().ok());
  EXPECT_EQ(events.size(), 1u);
}

TEST_F(WatchTest, MayBeCancelledByItsOwnEvent) {
  cancel_at_first = true;
  TestServer server([](const std::string&) {
    return Chunked({"{\"type\":\"ADDED\",\"object\":{}}\n{\"type\":\"ADDED\",\"object\":{}}\n"});
  });
  Connect({.servers = {server.url()}});
  Watch();
  for (int i = 0; i < 500; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::lock_guard lock(mu);
    if (!events.empty()) break;
  }
  OnLoop([] {});
  EXPECT_EQ(events.size(), 1u);
}

TEST(Kubeconfig, ReadsTheCurrentContext) {
  base::TempDir dir;
  std::ofstream(dir / "config") << R"(
apiVersion: v1
kind: Config
current-context: two
clusters:
- name: c1
  cluster: {server: "https://one:6443"}
- name: c2
  cluster:
    server: https://two:6443,https://three:6443
    certificate-authority-data: aGVsbG8=
users:
- name: u
  user: {client-certificate: certs/me.pem, client-key: /abs/me.key, token: abc}
contexts:
- {name: one, context: {cluster: c1}}
- {name: two, context: {cluster: c2, user: u}}
)";
  const auto config = ClientConfig::FromKubeconfig(dir / "config");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->servers, ElementsAre("https://two:6443", "https://three:6443"));
  EXPECT_EQ(config->cert_file, dir / "certs/me.pem");
  EXPECT_EQ(config->key_file, "/abs/me.key");
  EXPECT_EQ(config->token, "abc");
  std::ifstream ca(config->ca_file);
  std::string text;
  std::getline(ca, text);
  EXPECT_EQ(text, "hello");
  EXPECT_EQ(ClientConfig::FromFlags(dir / "config", "http://x:1").value().servers[0], "http://x:1");
}

TEST(Kubeconfig, SaysWhatIsWrong) {
  base::TempDir dir;
  const auto read = [&](const char* text) {
    std::ofstream(dir / "config") << text;
    return std::string(ClientConfig::FromKubeconfig(dir / "config").status().message());
  };
  EXPECT_THAT(read("a: [b"), HasSubstr("config: "));
  EXPECT_THAT(read("[]"), HasSubstr("not a kubeconfig"));
  EXPECT_THAT(read("kind: Config"), HasSubstr("no current-context"));
  EXPECT_THAT(read("current-context: x"), HasSubstr("no \"x\" in contexts"));
  EXPECT_EQ(ClientConfig::FromKubeconfig(dir / "none").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(ClientConfig::FromFlags("", "").ok());
}

TEST(Resource, Paths) {
  EXPECT_EQ((Resource{"", "v1", "pods"}.Path("ns", "a", "status")),
            "/api/v1/namespaces/ns/pods/a/status");
  EXPECT_EQ((Resource{"apps", "v1", "deployments"}.Path()), "/apis/apps/v1/deployments");
  EXPECT_EQ(QueryEscape("a=b,c in (d)"), "a%3Db%2Cc%20in%20%28d%29");
}

}  // namespace
}  // namespace keel::orchestrator
