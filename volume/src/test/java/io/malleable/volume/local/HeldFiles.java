package io.malleable.volume.local;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Files of which a chosen call waits until it is let go, or fails. Calls are named by their verb
 * and the file: {@code "sync layers/x.map"}.
 */
final class HeldFiles {
  private final StoreFiles real;
  private final Map<String, Hold> holds = new ConcurrentHashMap<>();
  private final Map<String, AtomicInteger> counts = new ConcurrentHashMap<>();

  HeldFiles(StoreFiles real) {
    this.real = real;
  }

  /** The next call of a name. */
  static final class Hold {
    private final CountDownLatch begun = new CountDownLatch(1);
    private final CountDownLatch allowed = new CountDownLatch(1);
    private volatile @Nullable IOException failure;

    /** Returns once somebody is in the call. */
    void awaitBegun() throws InterruptedException {
      begun.await();
    }

    void letGo() {
      allowed.countDown();
    }

    void fail() {
      failure = new IOException("Input/output error");
      letGo();
    }
  }

  Hold holdNext(String call) {
    Hold hold = new Hold();
    holds.put(call, hold);
    return hold;
  }

  void failNext(String call) {
    holdNext(call).fail();
  }

  /** How often the call was made. */
  int calls(String call) {
    AtomicInteger count = counts.get(call);
    return count == null ? 0 : count.get();
  }

  StoreFiles files() {
    return over(StoreFiles.class, real, "");
  }

  private <T> T over(Class<T> type, T target, String name) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (_, method, arguments) -> invoke(method, target, arguments, name)));
  }

  private @Nullable Object invoke(
      Method method, Object target, Object @Nullable [] arguments, String ofFile) throws Throwable {
    String name =
        arguments != null && arguments[0] instanceof String first && ofFile.isEmpty()
            ? first
            : ofFile;
    pass(method.getName() + " " + name);
    try {
      Object result = method.invoke(target, arguments);
      return result instanceof StoreFile file ? over(StoreFile.class, file, name) : result;
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  private void pass(String call) throws IOException, InterruptedException {
    counts.computeIfAbsent(call, _ -> new AtomicInteger()).incrementAndGet();
    Hold hold = holds.remove(call);
    if (hold == null) {
      return;
    }
    hold.begun.countDown();
    hold.allowed.await();
    IOException failure = hold.failure;
    if (failure != null) {
      throw failure;
    }
  }
}
