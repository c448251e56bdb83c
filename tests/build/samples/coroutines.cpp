// Not compiled. Each line that the lint must report ends with the mark; every other line must pass.
awaitable<void> closures(std::string x) {
    co_await f([x] { use(x); });  // bad
    co_await f([&] { use(x); });
    co_await f([&x]() -> int { return size(x); });
    co_await f([this] { use(); });
    co_await f([] { use(); });
    co_await f([y = std::move(x)]() mutable -> awaitable<void> {  // bad
        co_await g(y);
    });
    auto body = [x]() -> awaitable<void> { co_await g(x); };
    co_await f(std::move(body));
    auto other = [x, n = 1]() -> awaitable<int> {
        auto first = co_await g(x);
        co_return first;
    };
    co_spawn(
        co_await this_coro::executor, [x]() -> awaitable<void> { co_return; }, detached);  // bad
    co_await f(1, [x](int n) { return n; });                                               // bad
    co_await f([n] { return n; });  // coroutine-lint: the capture is an int
    table[x] = co_await g(x);
    auto& row = (co_await g())[index];
}

awaitable<result> aggregates(std::string s) {
    co_await f(options{.sql = "select"});      // bad
    co_await f(options{.sql = std::move(s)});  // bad
    co_await f(options{.sql = "select"sv, .timeout = 5ms});
    co_await f({.timeout = 5ms});
    co_await f({});
    co_await f(options{});
    agg a{co_await g(), 2};  // bad
    agg b{co_await g()};     // bad
    steady_timer timer{co_await asio::this_coro::executor};
    v.push_back({co_await g(), 2});                // bad
    co_await f({1, 2, 3});                         // bad
    co_await f(std::array<std::string, 2>{s, s});  // bad
    co_await f(std::string{"x"}, std::string_view{s}, std::chrono::milliseconds{5});
    co_await f(std::pair(1, s), std::optional<std::string>{s}, std::make_shared<std::string>(s));
    options named{.sql = s};
    co_await f(named);
    if (s.empty()) {
        co_return agg{std::move(s), 2};  // bad
    }
    for (auto& item : {1, 2, 3}) {
        co_await f(item);
    }
    co_return agg{co_await g(), 2};  // bad
}

awaitable<int> conditions(bool c) {
    co_await f(c ? std::string{} : std::string{"y"});  // bad
    co_await f(c ? thing{} : other);                   // bad
    co_await f(c ? 1 : 2);
    if (co_await b() && co_await f(thing{})) {  // bad
        co_return 1;
    }
    if (co_await b() && co_await c()) co_return 2;
    switch (co_await k()) {
    case kind::one: co_await f("x"s, 1); break;
    }
    while (co_await b() || c) {
        co_await f(1, 2);
    }
    co_return co_await g() + 1;
}

awaitable<void> tests() {
    REQUIRE(co_await f());      // bad
    CHECK_FALSE(co_await f());  // bad
    auto value = co_await f();
    REQUIRE(value == 1);
    REQUIRE(run([&]() -> awaitable<void> { co_await f(); }));
    co_await f("co_await f([x] {})");
    // co_await f([x] { use(x); });
}
