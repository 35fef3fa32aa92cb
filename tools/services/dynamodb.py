"""DynamoDB Local, in memory.

Its own main class listens on every interface and reports its use; Jetty's XML assembles the same
handler behind a connector on the loopback, and reports nothing.
"""

from __future__ import annotations

import http.client

from tools.services.address import ANSWER_WITHIN, parse
from tools.services.failure import NotReadyError
from tools.services.server import USER, Launch, Server, Site
from tools.services.source import Jars

VERSION = "2.6.1"
HANDLERS = "com.amazonaws.services.dynamodbv2.local.server"
LOOPBACK = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE Configure PUBLIC "-//Jetty//Configure//EN" "configure_10_0.dtd">
<Configure id="server" class="org.eclipse.jetty.server.Server">
  <Call name="addConnector">
    <Arg>
      <New class="org.eclipse.jetty.server.ServerConnector">
        <Arg><Ref refid="server"/></Arg>
        <Set name="host">127.0.0.1</Set>
        <Set name="port">{port}</Set>
      </New>
    </Arg>
  </Call>
  <Set name="handler">
    <New class="{handlers}.LocalDynamoDBServerHandler">
      <Arg>
        <New class="{handlers}.LocalDynamoDBRequestHandler">
          <Arg type="int">0</Arg>
          <Arg type="boolean">true</Arg>   <!-- in memory -->
          <Arg/>                           <!-- no folder -->
          <Arg type="boolean">false</Arg>  <!-- one database for each access key and region -->
          <Arg type="boolean">false</Arg>  <!-- tables are active at once -->
        </New>
      </Arg>
      <Arg/>                               <!-- no other site's scripts -->
    </New>
  </Set>
</Configure>
"""


def ping(url: str) -> None:
    """An unsigned request that is answered in DynamoDB's own way: refused with a request id."""
    address = parse(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=ANSWER_WITHIN)
    try:
        headers = {
            "X-Amz-Target": "DynamoDB_20120810.ListTables",
            "Content-Type": "application/x-amz-json-1.0",
        }
        connection.request("POST", "/", b"{}", headers)
        answer = connection.getresponse()
        body = answer.read(4096)
    except http.client.HTTPException as error:
        raise NotReadyError(f"no HTTP answer: {error!r}") from error
    finally:
        connection.close()
    if answer.status >= 500 or answer.headers.get("x-amzn-RequestId") is None:
        raise NotReadyError(f"answered {answer.status}, which is not DynamoDB: {body[:100]!r}")


def _plan(site: Site) -> tuple[Launch, ...]:
    jars, assembly = site.program("jars"), site.folder / "loopback.xml"
    command = (
        site.program("java"),
        "-Xmx256m",
        f"-Djava.io.tmpdir={site.folder}",
        f"-Djava.library.path={jars}",
        "-cp",
        f"{jars}/*",
        "org.eclipse.jetty.xml.XmlConfiguration",
        str(assembly),
    )
    text = LOOPBACK.format(port=site.ports["dynamodb"], handlers=HANDLERS)
    return (Launch("dynamodb", command, site.folder, files={assembly.name: text}),)


def _urls(site: Site) -> dict[str, str]:
    return {"dynamodb": f"http://{USER}:{USER}@127.0.0.1:{site.ports['dynamodb']}"}


DYNAMODB = Server(
    name="dynamodb",
    source=Jars(name="dynamodb-local", version=VERSION, needs_java=17),
    ports=("dynamodb",),
    plan=_plan,
    urls=_urls,
    ping=ping,
)
