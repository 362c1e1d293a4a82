//! Links that a test can cut, before what the programs depend on.

use anyhow::{Context, Result};

use crate::proxy::Proxy;
use crate::system::System;

impl System {
    /// Puts a link before the database of a program that is yet to start. None before a file.
    ///
    /// # Errors
    /// If the link cannot be made.
    pub async fn link_database(&mut self, name: &str) -> Result<Option<Proxy>> {
        let database = self.databases.get_mut(name).context("no such program")?;
        let Some(server) = database.server() else {
            return Ok(None);
        };
        let proxy = Proxy::start(&server).await?;
        let behind = proxy.address().to_string();
        let url = database.settings().database_url.replace(&server, &behind);
        self.links.insert(name.to_owned(), url);
        Ok(Some(proxy))
    }

    /// Puts a link before every broker, for programs that are yet to start.
    ///
    /// # Errors
    /// If the links cannot be made.
    pub async fn link_kafka(&mut self) -> Result<Vec<Proxy>> {
        let servers = &self.broker.settings().kafka_bootstrap_servers;
        let (proxies, servers) = Proxy::before_kafka(servers).await?;
        self.set("KAFKA_BOOTSTRAP_SERVERS", servers);
        Ok(proxies)
    }

    /// Puts links before the providers, for programs that are yet to start: mail first, then the others.
    ///
    /// # Errors
    /// If the links cannot be made.
    pub async fn link_providers(&mut self) -> Result<[Proxy; 2]> {
        let urls = [
            ("SMTP_URL", self.sandbox.smtp_url()),
            ("SMS_BASE_URL", self.sandbox.twilio_url()),
            ("WHATSAPP_BASE_URL", self.sandbox.whatsapp_url()),
        ];
        let [smtp, http] = self.sandbox.addresses();
        let links = [
            (smtp, Proxy::start(&smtp.to_string()).await?),
            (http, Proxy::start(&http.to_string()).await?),
        ];
        for (variable, mut url) in urls {
            for (target, proxy) in &links {
                url = url.replace(&target.to_string(), &proxy.address().to_string());
            }
            self.set(variable, url);
        }
        Ok(links.map(|(_, proxy)| proxy))
    }
}
