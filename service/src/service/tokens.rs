//! Tokens of the API: made and revoked through the leader, known to all voters.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use zonecast_api::types::{NewToken, TokenInfo, TokenList, TokenRole};
use zonecast_kv_proto::{Batch, Op, Section, View};
use zonecast_kv_transport::write_private;

use super::Service;
use crate::access::{
    ACCESS, Secret, Token, TokenBookError, TokenDraft, TokenTable, delete_token, put_token, read_tokens,
};
use crate::error::ServiceError;
use crate::import::committed;
use crate::who::Who;
use crate::zone::blocking;

/// Most tokens: each voter has all of them in memory.
const MAX_TOKENS: usize = 1000;

/// Name of the token that a core makes when there is none of role admin.
const FIRST: &str = "first";

impl From<TokenBookError> for ServiceError {
    fn from(error: TokenBookError) -> Self {
        Self::internal(error)
    }
}

impl Service {
    /// Those that requests are compared with.
    #[must_use]
    pub fn token_table(&self) -> &Arc<TokenTable> {
        &self.tokens
    }

    /// All tokens as they are applied here, by name.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn tokens(self: &Arc<Self>) -> Result<TokenList, ServiceError> {
        self.refresh_access().await?;
        let now = SystemTime::now();
        Ok(TokenList { tokens: self.tokens.all().iter().map(|token| token.describe(now)).collect() })
    }

    /// Makes a token. The answer alone has the token itself.
    ///
    /// # Errors
    /// There is one of this name, it makes no sense, there are too many, or the core cannot commit.
    pub async fn create_token(self: &Arc<Self>, asked: NewToken, who: &Who) -> Result<TokenInfo, ServiceError> {
        let (secret, token) = made(asked)?;
        let service = Arc::clone(self);
        let created = async move {
            let info = TokenInfo { token: Some(secret.reveal().to_owned()), ..token.describe(SystemTime::now()) };
            let op = put_token(&token);
            let name = token.name().to_owned();
            service.change_tokens(move |tokens| may_add(tokens, &name).map(|()| (op, ()))).await?;
            Ok(info)
        };
        let created = self.to_the_end(who, created).await?;
        tracing::info!(by = who.name(), token = created.name, role = %created.role, "token created");
        Ok(created)
    }

    /// Revokes a token: every voter refuses it as soon as it has applied that.
    ///
    /// # Errors
    /// There is none of this name, it is the last one that may make others, or the core cannot commit.
    pub async fn revoke_token(self: &Arc<Self>, name: String, who: &Who) -> Result<TokenInfo, ServiceError> {
        let service = Arc::clone(self);
        let revoked = async move {
            let now = SystemTime::now();
            let revoke = move |tokens: &[Token]| {
                let token = to_revoke(tokens, &name, now)?;
                Ok((delete_token(&name), token.describe(now)))
            };
            service.change_tokens(revoke).await
        };
        let revoked = self.to_the_end(who, revoked).await?;
        tracing::info!(by = who.name(), token = revoked.name, "token revoked");
        Ok(revoked)
    }

    /// Makes the first token of role admin, if there is none that is still good, and leaves it in the file that the
    /// configuration of this core leads to: somebody must be able to make the others. On the leader only.
    ///
    /// # Errors
    /// The file cannot be written, or the core cannot commit.
    pub async fn ensure_admin_token(self: &Arc<Self>) -> Result<(), ServiceError> {
        let Some(file) = self.parts.first_token.clone() else { return Ok(()) };
        let _turn = self.access.lock().await;
        let now = SystemTime::now();
        if self.tokens().await?.tokens.iter().any(|token| token.role == TokenRole::Admin && !token.expired) {
            return Ok(());
        }
        let (secret, token) = made(NewToken { name: FIRST.into(), role: TokenRole::Admin, ..NewToken::default() })?;
        let (op, written) = (put_token(&token), file.clone());
        // First the file: a token that nobody has would keep everybody out.
        blocking(move || leave(&written, &secret)).await?;
        self.change_tokens(move |tokens| match tokens.iter().find(|token| is_good_admin(token, now)) {
            Some(_) => Err(ServiceError::Overtaken("there is a token of role admin already".into())),
            None => Ok((op, ())),
        })
        .await?;
        let file = file.display();
        tracing::warn!(
            "there was no token of role admin: `{FIRST}` is made and lies in {file}; `zonecast token create \
             --token-file {file}` makes others"
        );
        Ok(())
    }

    /// Has in force what is applied of tokens and revocations, now and from now on.
    pub(crate) async fn follow_access(self: Arc<Self>, mut written: tokio::sync::watch::Receiver<()>) {
        loop {
            written.borrow_and_update();
            if let Err(error) = self.refresh_access().await {
                tracing::error!(%error, "tokens and revocations cannot be read: those that were read last stay in force");
            }
            // Nobody needs it sooner, and a busy core writes far more often.
            tokio::time::sleep(Duration::from_millis(10)).await;
            if written.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Has in force what is applied of tokens and revocations.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn refresh_access(self: &Arc<Self>) -> Result<(), ServiceError> {
        let service = Arc::clone(self);
        blocking(move || {
            service.tokens.refresh(service.core())?;
            service.refresh_revocations()
        })
        .await
    }

    /// Commits one change of the tokens, built from all of them, and has it in force here when it returns.
    async fn change_tokens<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&[Token]) -> Result<(Op, T), ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
            let (op, about) = change(&read_tokens(view)?)?;
            let sections = vec![Section { id: ACCESS, ops: vec![op] }];
            Ok::<_, ServiceError>((Batch { preconditions: vec![], sections }, about))
        };
        let (about, pending) = self.core().change(build).await?;
        committed(pending.await)?;
        self.refresh_access().await?;
        Ok(about)
    }
}

fn made(asked: NewToken) -> Result<(Secret, Token), ServiceError> {
    let NewToken { name, role, zones, lasts_s } = asked;
    let secret = Secret::generate()
        .map_err(|error| ServiceError::internal(format_args!("the system gives no random numbers: {error}")))?;
    let (hash, lasts) = (secret.hash(), lasts_s.map(Duration::from_secs));
    let token = Token::new(TokenDraft { name, hash, role, zones, now: SystemTime::now(), lasts });
    Ok((secret, token.map_err(ServiceError::bad)?))
}

fn may_add(tokens: &[Token], name: &str) -> Result<(), ServiceError> {
    if tokens.iter().any(|token| token.name() == name) {
        return Err(ServiceError::refused(format_args!("there is a token {name:?} already"), vec![]));
    }
    if tokens.len() >= MAX_TOKENS {
        return Err(ServiceError::refused(format_args!("there are {MAX_TOKENS} tokens already"), vec![]));
    }
    Ok(())
}

fn to_revoke<'t>(tokens: &'t [Token], name: &str, now: SystemTime) -> Result<&'t Token, ServiceError> {
    let token = tokens.iter().find(|token| token.name() == name);
    let token = token.ok_or_else(|| ServiceError::NoToken(name.to_owned()))?;
    let is_last = tokens.iter().filter(|token| is_good_admin(token, now)).count() == 1;
    if is_last && is_good_admin(token, now) {
        let message = format!("{name:?} is the last token of role admin: make another one first, or nobody could");
        return Err(ServiceError::refused(message, vec![]));
    }
    Ok(token)
}

fn is_good_admin(token: &Token, now: SystemTime) -> bool {
    token.role() == TokenRole::Admin && !token.is_expired(now)
}

fn leave(file: &Path, secret: &Secret) -> Result<(), ServiceError> {
    let text = format!("{}\n", secret.reveal());
    write_private(file, &text).map_err(|error| ServiceError::internal(format_args!("{}: {error}", file.display())))
}
